"""A client is closed after its last user."""

import pytest

from exporter.datastores.refcount import RefCounted


class Client:
    def __init__(self) -> None:
        self.shared = RefCounted(self._close)
        self.closed = 0

    async def _close(self) -> None:
        self.closed += 1


async def test_client_without_users_is_closed_at_once() -> None:
    client = Client()
    async with client.shared:
        assert client.closed == 0
    assert client.closed == 0, "it was not closed yet"

    await client.shared.close_when_idle()
    assert client.closed == 1


async def test_last_user_closes_the_client() -> None:
    client = Client()
    async with client.shared:
        async with client.shared:
            await client.shared.close_when_idle()
        assert client.closed == 0

    assert client.closed == 1


async def test_failed_user_no_longer_counts() -> None:
    client = Client()
    with pytest.raises(ValueError, match="of a user"):
        async with client.shared:
            raise ValueError("of a user")

    await client.shared.close_when_idle()
    assert client.closed == 1
