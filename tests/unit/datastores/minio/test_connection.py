"""Requests to MinIO are signed and classified."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import httpx
import pytest

from exporter.datastores.minio.connection import Connection
from exporter.datastores.minio.signing import LIFETIME_SECONDS, metrics_token
from exporter.datastores.s3.errors import reason_of
from exporter.datastores.s3.response import ErrorResponse
from exporter.datastores.s3.signing import Keys
from exporter.errors import QueryError, Reason


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_metrics_token_is_signed_and_expires() -> None:
    """The token is signed with the secret key, names the access key and ends; nothing says when it began."""
    head, claims, signature = metrics_token("monitor", "secret", 1000.5).split(".")

    assert json.loads(decoded(head)) == {"alg": "HS512", "typ": "JWT"}
    assert json.loads(decoded(claims)) == {"exp": 1000 + LIFETIME_SECONDS, "iss": "prometheus", "sub": "monitor"}
    assert decoded(signature) == hmac.new(b"secret", f"{head}.{claims}".encode(), hashlib.sha512).digest()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ErrorResponse("S3 call", 403, "SignatureDoesNotMatch"), "auth"),
        (ErrorResponse("S3 call", 403, "InvalidAccessKeyId"), "auth"),
        (ErrorResponse("S3 call", 403, "RequestTimeTooSkewed"), "limit"),
        (ErrorResponse("metrics page", 403, "AccessDenied"), "privilege"),
        (ErrorResponse("metrics page", 404, "NoSuchBucket"), "unsupported"),
        (ErrorResponse("admin info", 426, "XMinioAdminVersionMismatch"), "unsupported"),
        (ErrorResponse("S3 call", 503, "XMinioServerNotInitialized"), "connect"),
        (ErrorResponse("S3 call", 400, "InvalidRequest"), "query"),
        (httpx.ConnectError("refused"), "connect"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.RemoteProtocolError("garbage"), "decode"),
        (TimeoutError("busy"), "timeout"),
        (QueryError("limit", "too long"), "limit"),
        (KeyError("lastUpdate"), "decode"),
    ],
)
def test_each_error_has_its_reason(error: Exception, reason: Reason) -> None:
    """Every error has its typed reason."""
    assert reason_of(error) == reason


async def test_request_is_signed_for_the_host_and_path_that_are_sent() -> None:
    """A request is signed for the host and path that are sent, whatever the URL looked like."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, content=b"<Error><Code>NoSuchBucket</Code></Error>")

    for url in ("https://Objects.Example:443", "http://objects:9000/", "http://[::1]:9000", "http://b\u00fccher:9000"):
        connection = Connection(url, "eu-1", None, httpx.MockTransport(answer))
        connection.set_credentials(Keys("monitor", "secret-of-monitor"))
        for bucket in ("one.bucket", "../minio/admin", "", "a?b"):
            with pytest.raises(ErrorResponse, match="NoSuchBucket"):
                await connection.prove_keys(bucket)
        await connection.close()

    assert [request.headers["host"] for request in seen[::4]] == [
        "objects.example", "objects:9000", "[::1]:9000", "xn--bcher-kva:9000",
    ]  # fmt: skip
    assert [request.url.path.rpartition("-")[0] for request in seen[:4]] == ["", *["/datatier-exporter"] * 3]
    assert {request.url.query for request in seen} == {b"location="}
    for request in seen:
        assert f"Credential=monitor/{datetime.now(UTC):%Y%m%d}/eu-1/s3/aws4_request" in request.headers["authorization"]
        assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date," in request.headers["authorization"]
        assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("access", ["ключ", "a\r\nX-Evil: 1", "a\x00"])
def test_access_key_that_a_header_cannot_carry_is_refused(access: str) -> None:
    """They are refused in words, before anything is sent."""
    connection = Connection("http://127.0.0.1:1", "us-east-1", None)

    with pytest.raises(QueryError, match="a header cannot carry") as caught:
        connection.set_credentials(Keys(access, "secret-of-monitor"))
    assert caught.value.reason == "auth"


def test_keyless_connection_signs_nothing() -> None:
    """Without keys signed calls are unsupported, with the reason, before anything is sent."""
    connection = Connection("http://127.0.0.1:1", "us-east-1", None)

    with pytest.raises(QueryError, match="access_key") as caught:
        asyncio.run(connection.admin("info"))
    assert caught.value.reason == "unsupported"


def test_refused_connection_is_classified_after_one_attempt() -> None:
    """No retries: a closed port is one attempt."""

    async def scenario() -> BaseException | None:
        connection = Connection("http://127.0.0.1:1", "us-east-1", None)
        connection.set_credentials(Keys("monitor", "secret-of-monitor"))
        outcome = await asyncio.gather(connection.prove_keys(), return_exceptions=True)
        await connection.close()
        return outcome[0]

    error = asyncio.run(scenario())
    assert error is not None
    assert reason_of(error) == "connect"
    assert "secret-of-monitor" not in repr(error)
