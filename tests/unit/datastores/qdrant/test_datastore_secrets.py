"""The client's key: read again when it may have changed, and kept to itself as the addresses are."""

import logging
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from exporter.errors import QueryError
from tests.support.qdrant_recorded import TWO, datastore, transport

KEY = "sësame-is-no-header"


async def test_rotated_key_is_used_at_the_next_ping(tmp_path: Path) -> None:
    """The key's file is read again, and every request carries it."""
    file = tmp_path / "key"
    file.write_text("old\n")
    async with datastore(transport(TWO, key="new"), api_key_file=file) as store:
        with pytest.raises(QueryError) as error:
            await store.ping()
        file.write_text("new\n")
        info = await store.ping()

    assert (error.value.reason, info.version) == ("auth", "1.18.3")


async def test_missing_key_file_fails_with_auth(tmp_path: Path) -> None:
    """The target fails with auth until the file is back."""
    file = tmp_path / "key"
    file.write_text("key")
    async with datastore(transport(TWO), api_key_file=file) as store:
        file.unlink()
        with pytest.raises(QueryError) as error:
            await store.ping()

    assert error.value.reason == "auth"
    assert str(file) not in str(error.value)


@pytest.mark.parametrize("failing", ["connect", "refused", "header"])
async def test_no_secret_and_no_address_in_errors_and_logs(failing: str, caplog: pytest.LogCaptureFixture) -> None:
    """No error contains the key, the server's address or its peers' addresses."""
    tonic = '{"status": {"error": "tcp connect error: http://qdrant.test:6335/ at 10.0.0.7:6335 refused"}}'
    key = KEY if failing == "header" else "planted-key"

    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("All connection attempts failed")

    answers: dict[str, Callable[[httpx.Request], httpx.Response]] = {
        "connect": fail,
        "refused": lambda _: httpx.Response(500, text=tonic),
        "header": lambda _: httpx.Response(200, text="{}"),
    }
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        async with datastore(answers[failing], api_key=key) as store:
            with pytest.raises((QueryError, httpx.ConnectError)) as error:
                await store.ping()

    shown = f"{error.value!r} {error.value} {caplog.text}"
    assert not [secret for secret in (key, "qdrant.test", "10.0.0.7") if secret in shown]
