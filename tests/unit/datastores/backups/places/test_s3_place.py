"""A bucket is read as a place; a server that is none, or that does not list in order, is a typed error."""

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from exporter.config.stores.minio import MinioTarget
from exporter.datastores.backups.places.place import GoneError
from exporter.datastores.backups.places.s3_place import S3Place
from exporter.errors import QueryError
from tests.support.s3_listing import HEADERS, ListingServer

NAMES = [f"{number:05}" for number in range(2500)]
HTML = httpx.Response(200, headers={"content-type": "text/html"}, text="<html><body>Sign in</body></html>")


def place(transport: httpx.AsyncBaseTransport, prefix: str = "", marker: str | None = None, **keys: Any) -> S3Place:
    keys = {"access_key": "monitor", "secret_key": "secret-of-monitor", **keys}
    server = MinioTarget.model_validate({"store": "minio", "name": "objects", "url": "http://objects:9000", **keys})
    return S3Place(server, "backups", prefix, marker, transport)


def always(response: httpx.Response) -> httpx.MockTransport:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    return httpx.MockTransport(answer)


def error(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers={**HEADERS, **headers}, text=f"<Error><Code>{code}</Code></Error>")


async def test_list_makes_a_request_for_each_thousand_names() -> None:
    """The next list goes on where the last one ended."""
    server = ListingServer(NAMES)
    opened = place(server.transport())
    first = await opened.list("", deep=True, most=2000)
    rest = await opened.list("", deep=True, after=first.entries[-1].name, most=2000)

    assert [entry.name for entry in (*first.entries, *rest.entries)] == NAMES
    assert (first.more, rest.more, server.requests) == (True, False, 3)


def _goes_back(text: str) -> str:
    return re.sub("<Key>01", "<Key>00", text)


def _repeats_one(text: str) -> str:
    return re.sub("<Key>00500<", "<Key>00499<", text)


def _lists_elsewhere(text: str) -> str:
    return re.sub("<Key>0", "<Key>elsewhere/0", text, count=1)


def _has_no_token(text: str) -> str:
    return re.sub("(?s)<Next.*Contents>", "", text).replace(">false<", ">true<")


def _lists_nothing(text: str) -> str:
    return _has_no_token(text).replace("</L", "<NextContinuationToken>a</NextContinuationToken></L")


def _is_another_page(text: str) -> str:
    return text.replace("ListBucketResult", "ListAllMyBucketsResult")


def _is_large(text: str) -> str:
    return f"{text}<!-- {'x' * 9_000_000} -->"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_goes_back, "not in order"),
        (_repeats_one, "not in order"),
        (_lists_elsewhere, "not in order"),
        (_lists_nothing, "for ever"),
        (_has_no_token, "no way to it"),
        (_is_another_page, "neither MinIO nor another"),
        (_is_large, "larger than"),
    ],
)
async def test_listing_that_cannot_be_true_is_an_error(change: Callable[[str], str], words: str) -> None:
    """The same page for ever, names out of order or of another prefix, no way to the next page: nothing is returned."""
    server = ListingServer(NAMES, change)
    opened = place(server.transport())

    with pytest.raises(QueryError, match=words) as caught:
        await opened.list("0", deep=True, most=10_000)
    assert caught.value.reason in ("decode", "limit")
    assert server.requests <= 11


async def test_server_that_sends_the_same_page_for_ever_is_an_error() -> None:
    """It is found with the second page, whether the server ignores its token or the name to start after."""
    first = ListingServer(NAMES).answer(
        httpx.Request("GET", "http://objects/backups?list-type=2&prefix=&max-keys=1000")
    )
    opened = place(always(first))

    for after in ("", "01999"):
        with pytest.raises(QueryError, match="repeats itself") as caught:
            await opened.list("", deep=True, after=after)
        assert caught.value.reason == "decode"


@pytest.mark.parametrize(
    ("response", "reason", "words"),
    [
        (HTML, "decode", "is a proxy between"),
        (httpx.Response(302, headers={"location": "/login"}), "decode", "a redirect"),
        (httpx.Response(502, text="<html></html>"), "connect", "HTTP 502"),
        (error(404, "NoSuchBucket"), "connect", "no bucket of this name"),
        (error(301, "PermanentRedirect"), "connect", "another endpoint"),
        (error(400, "AuthorizationHeaderMalformed"), "auth", "another `region`"),
        (error(403, "InvalidAccessKeyId"), "auth", "InvalidAccessKeyId"),
        (error(400, "ExpiredToken"), "auth", "ExpiredToken"),
        (error(503, "SlowDown"), "connect", "SlowDown"),
        (error(400, "InvalidArgument"), "unsupported", "port of its own"),
        (
            error(403, "RequestTimeTooSkewed", date=formatdate(time.time() - 3600, usegmt=True)),
            "limit",
            "behind the exporter's",
        ),
    ],
)
async def test_ping_says_what_is_wrong(response: httpx.Response, reason: str, words: str) -> None:
    """A status alone proves nothing; the message says what to do."""
    opened = place(always(response))

    with pytest.raises(QueryError, match=words) as caught:
        await opened.ping()
    assert caught.value.reason == reason


async def test_place_that_may_not_be_listed_is_there() -> None:
    """Its server accepts the keys: the ping names the right that is missing, below the place's prefix."""
    opened = place(always(error(403, "AccessDenied")), "apex/")
    info = await opened.ping()

    assert dict(info.missing_privileges) == {
        "s3:ListBucket": '{"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::backups"]}'
    }
    with pytest.raises(QueryError, match="lacks s3:GetObject") as caught:
        await opened.read("a", 0, 1)
    assert caught.value.reason == "privilege"
    assert "arn:aws:s3:::backups/apex/*" in (await opened.ping()).missing_privileges["s3:GetObject"]


@pytest.mark.parametrize(
    "name",
    ["..", "../../minio/admin", "./a", "/leading", "a//b", "a%2Fb", "100% + 1", "é\n", "\udcff", "x" * 1024, "?x=y#z"],
)
async def test_name_is_sent_as_it_is_signed(name: str) -> None:
    """No client takes dots or slashes out of it: that would be another object's name."""
    seen = list[bytes]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["target"])
        return httpx.Response(404, headers=HEADERS, text="<Error><Code>NoSuchKey</Code></Error>")

    with pytest.raises(GoneError):
        await place(httpx.MockTransport(answer), "apex/").read(name, 0, 1)
    (target,) = seen
    assert httpx.QueryParams(b"name=" + target.removeprefix(b"/backups/"))["name"] == (
        f"apex/{name}".encode(errors="surrogateescape").decode(errors="replace")
    )
    assert target.isascii()


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (httpx.Response(206, headers={**HEADERS, "content-range": "bytes 2-4/9"}, content=b"abc"), b"abc"),
        (httpx.Response(206, headers={**HEADERS, "content-range": "bytes 0-2/9"}, content=b"abc"), "decode"),
        (httpx.Response(206, headers={**HEADERS, "content-range": "bytes 2-9/9"}, content=b"abcdefg"), "decode"),
        (httpx.Response(206, headers={"content-range": "bytes 2-4/9"}, content=b"abc"), "decode"),
        (httpx.Response(200, headers=HEADERS, content=b"abc"), "decode"),
        (HTML, "decode"),
        (error(416, "InvalidRange"), b""),
        (error(404, "NoSuchBucket"), "connect"),
        (error(403, "InvalidObjectState"), "unsupported"),
        (httpx.Response(404, text="not here"), "decode"),
        (httpx.Response(206, headers={**HEADERS, "content-range": "bytes 2-"}, content=bytes(100_000)), "decode"),
    ],
)
async def test_part_of_an_object_must_prove_what_it_is(response: httpx.Response, outcome: bytes | str) -> None:
    """A proxy's page is not the content of a backup."""
    opened = place(always(response))

    if isinstance(outcome, bytes):
        assert await opened.read("a", 2, 3) == outcome
        return
    with pytest.raises(QueryError) as caught:
        await opened.read("a", 2, 3)
    assert caught.value.reason == outcome


@pytest.mark.parametrize(
    ("headers", "encrypted"),
    [
        ({"x-amz-server-side-encryption": "AES256"}, True),
        ({"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "k"}, True),
        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, True),
        ({"x-amz-server-side-encryption": ""}, False),
        ({}, False),
    ],
)
async def test_server_says_that_it_encrypts(headers: dict[str, str], encrypted: bool) -> None:  # noqa: FBT001
    """Any of its ways counts."""
    answer = httpx.Response(206, headers={**HEADERS, **headers, "content-range": "bytes 0-0/9"}, content=b"a")

    assert await place(always(answer)).encrypted_at_rest("a") == encrypted


async def test_server_that_cannot_be_reached_says_so_without_its_address() -> None:
    """Pages show the message."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach {request.url}")

    with pytest.raises(QueryError) as caught:
        await place(httpx.MockTransport(answer)).list("", deep=True)
    assert (caught.value.reason, caught.value.shown) == ("connect", "the server cannot be reached")


async def test_place_without_keys_signs_nothing() -> None:
    """A public bucket needs none."""
    seen = list[httpx.Request]()
    server = ListingServer(["a"])

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return server.answer(request)

    opened = place(httpx.MockTransport(answer), access_key=None, secret_key=None)
    assert [entry.name for entry in (await opened.list("", deep=True)).entries] == ["a"]
    assert "authorization" not in seen[0].headers
