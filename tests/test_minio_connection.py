"""Requests to MinIO are bounded, signed and classified."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from contextlib import suppress

import pytest
import urllib3
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from exporter.datastores.minio.answers import Refused
from exporter.datastores.minio.connection import Connection, Keys, reason_of
from exporter.datastores.minio.token import LIFETIME_SECONDS, metrics_token
from exporter.query import QueryError, Reason

POOL = urllib3.HTTPConnectionPool("localhost")


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_metrics_token() -> None:
    """The token is signed with the secret key, names the access key and ends; nothing says when it began."""
    head, claims, signature = metrics_token("monitor", "secret", 1000.5).split(".")

    assert json.loads(decoded(head)) == {"alg": "HS512", "typ": "JWT"}
    assert json.loads(decoded(claims)) == {"exp": 1000 + LIFETIME_SECONDS, "iss": "prometheus", "sub": "monitor"}
    assert decoded(signature) == hmac.new(b"secret", f"{head}.{claims}".encode(), hashlib.sha512).digest()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Refused("S3 call", 403, "SignatureDoesNotMatch"), "auth"),
        (Refused("S3 call", 403, "InvalidAccessKeyId"), "auth"),
        (Refused("S3 call", 403, "RequestTimeTooSkewed"), "auth"),
        (Refused("metrics page", 403, "AccessDenied"), "privilege"),
        (Refused("metrics page", 404, "NoSuchBucket"), "unsupported"),
        (Refused("admin info", 426, "XMinioAdminVersionMismatch"), "unsupported"),
        (Refused("S3 call", 503, "XMinioServerNotInitialized"), "connect"),
        (Refused("S3 call", 400, "InvalidRequest"), "query"),
        (MaxRetryError(POOL, "/", NewConnectionError(POOL, "refused")), "connect"),  # type: ignore[arg-type]  # any pool
        (MaxRetryError(POOL, "/", ReadTimeoutError(POOL, "/", "slow")), "timeout"),
        (ProtocolError("reset"), "connect"),
        (TimeoutError("busy"), "timeout"),
        (QueryError("limit", "too long"), "limit"),
        (json.JSONDecodeError("no JSON", "", 0), "decode"),
        (KeyError("lastUpdate"), "decode"),
    ],
)
def test_reasons(error: Exception, reason: Reason) -> None:
    """Every error has its typed reason."""
    assert reason_of(error) == reason


def test_refuses_while_threads_are_out() -> None:
    """When callers have left more threads behind than there are, the next request fails at once as a timeout."""
    release = threading.Event()

    async def scenario() -> None:
        connection = Connection("http://127.0.0.1:1", "us-east-1", None)
        left = [asyncio.ensure_future(connection._in_thread(release.wait)) for _ in range(4)]  # noqa: SLF001
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError, match="not come back"):
            await connection._in_thread(release.wait)  # noqa: SLF001
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with pytest.raises(TimeoutError, match="not come back"):
            await connection._in_thread(release.wait)  # noqa: SLF001
        release.set()
        for _ in range(1000):
            await asyncio.sleep(0.01)
            with suppress(TimeoutError):
                assert await connection._in_thread(release.is_set)  # noqa: SLF001
                break
        else:
            pytest.fail("no thread came back")
        connection.close()

    asyncio.run(scenario())


def test_keyless_connection_signs_nothing() -> None:
    """Without keys signed calls are unsupported, with the reason, before anything is sent."""
    connection = Connection("http://127.0.0.1:1", "us-east-1", None)

    with pytest.raises(QueryError, match="access_key") as caught:
        asyncio.run(connection.info())
    connection.close()
    assert caught.value.reason == "unsupported"


def test_refused_connection_is_quick_and_classified() -> None:
    """No retries: a closed port is one attempt."""

    async def scenario() -> BaseException | None:
        connection = Connection("http://127.0.0.1:1", "us-east-1", None)
        connection.sign_in(Keys("monitor", "secret-of-monitor"))
        outcome = await asyncio.gather(connection.list_buckets(), return_exceptions=True)
        connection.close()
        return outcome[0]

    error = asyncio.run(scenario())
    assert error is not None
    assert reason_of(error) == "connect"
    assert "secret-of-monitor" not in repr(error)
