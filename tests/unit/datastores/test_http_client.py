"""Answers of hostile servers, read by the client that all stores share."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from types import SimpleNamespace

import httpx
import pytest

from exporter.datastores.http_client import http_client
from exporter.datastores.json_text import parse_json
from exporter.errors import QueryError

Writer = asyncio.StreamWriter
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def server(*parts: bytes, repeat: bytes = b"", pause: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve the parts once to each connection, then `repeat` for ever; yield the address and the requests' heads."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            for part in parts:
                writer.write(part)
            while repeat:
                writer.write(repeat)
                await writer.drain()
                await asyncio.sleep(pause)
            await writer.drain()
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heads


async def asked(url: str, seconds: float = 0.5) -> str:
    """Return what became of a request: a reason, the name of an error, or the status."""
    async with http_client(url, None, seconds) as client:
        try:
            return str((await client.get("/page", extensions={"body_bytes": 100_000})).status_code)
        except QueryError as error:
            return error.reason
        except httpx.HTTPError as error:
            return type(error).__name__


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


HOSTILE: dict[str, tuple[str, Callable[[], tuple[bytes, ...]], bytes, float]] = {
    "gzip": (
        "decode",
        lambda: (OK + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + gzip.compress(b""),),
        b"",
        0,
    ),
    "gzip, gzip": ("decode", lambda: (OK + b"Content-Encoding: gzip, gzip\r\n\r\n",), b"", 0),
    "two encodings": ("decode", lambda: (OK + b"Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\n",), b"", 0),
    "zstd": ("decode", lambda: (OK + b"Content-Encoding: zstd\r\nContent-Length: 1\r\n\r\nx",), b"", 0),
    "endless body": ("limit", lambda: (OK + b"\r\n",), b"x" * 65536, 0),
    "endless chunks": ("limit", lambda: (CHUNKED,), chunk(b"x" * 16) * 4096, 0),
    "endless chunk extension": ("RemoteProtocolError", lambda: (CHUNKED, b"1;"), b"x" * 65536, 0),
    "endless header": ("RemoteProtocolError", lambda: (OK, b"X: "), b"x" * 65536, 0),
    "endless headers": ("RemoteProtocolError", lambda: (OK,), b"X: y\r\n" * 4096, 0),
    "endless trailers": ("RemoteProtocolError", lambda: (CHUNKED, b"0\r\n"), b"X: y\r\n" * 4096, 0),
    "endless 1xx": ("ReadTimeout", lambda: (), b"HTTP/1.1 103 x\r\n\r\n" * 512, 0),
    "dripping head": ("ReadTimeout", lambda: (OK,), b"X: y\r\n", 0.1),
    "dripping body": ("ReadTimeout", lambda: (OK + b"Content-Length: 100000\r\n\r\n",), b"x", 0.1),
    "silence": ("ReadTimeout", lambda: (), b"", 0),
    "garbage": ("RemoteProtocolError", lambda: (b"\0\xff\r\n\r\n",), b"", 0),
    "redirect": ("302", lambda: (b"HTTP/1.1 302 Found\r\nLocation: /page\r\nContent-Length: 0\r\n\r\n",), b"", 0),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_response_is_a_typed_error_in_time(kind: str) -> None:
    expected, parts, repeat, pause = HOSTILE[kind]
    async with server(*parts(), repeat=repeat, pause=pause) as (url, heads):
        assert await asked(url) == expected
    assert b"accept-encoding: identity" in heads[0].lower()
    assert len(heads) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 100_000, "decode"),
        (b"[" * 100_000 + b"]" * 100_000, "decode"),
        (b'{"a":' * 100_000, "decode"),
        (b"9" * 5_000, "decode"),
        (b"NaN", "decode"),
        (b"\xff\xfe", "decode"),
        (b"", "decode"),
        (b"[" + b"[]," * 2**20 + b"0]", "limit"),
        (b"[" + b'{"a":1},' * 2**20 + b"0]", "limit"),
        (b'["' + b"a" * 16 * 2**20 + "\U0001f600".encode() + b'"]', "limit"),
    ],
)
async def test_json_too_large_or_malformed_is_an_error(text: bytes, reason: str) -> None:
    with pytest.raises(QueryError, match="the page") as caught:
        await parse_json(text, "the page")
    assert caught.value.reason == reason


async def test_valid_json_is_parsed() -> None:
    assert await parse_json(b'{"a": [1, 2.5, null]}', "the page") == {"a": [1, 2.5, None]}
    assert await parse_json(b"[" + b"1," * 2**16 + b"2]", "the page") == [1] * 2**16 + [2]


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        (formatdate(0, usegmt=True), 0.5),
        (formatdate(1200, usegmt=True), 1200.5),
        ("yesterday", None),
        ("", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        (None, None),
    ],
)
async def test_clock_skew_is_read_from_the_date(
    monkeypatch: pytest.MonkeyPatch, date: str | None, skew: float | None
) -> None:
    """By the header Date, whose seconds are cut off."""
    monkeypatch.setattr("exporter.datastores.http_client.time", SimpleNamespace(time=lambda: 0.0))
    transport = httpx.MockTransport(lambda _: httpx.Response(401, headers={} if date is None else {"Date": date}))
    async with http_client("http://server.test", None, 1.0, transport) as client:
        assert (await client.get("/")).extensions["clock_skew"] == skew


async def test_cookies_are_dropped() -> None:
    """The jar has no bound: a hostile server, or a proxy's login page, would fill it for ever."""
    head = OK + b"Set-Cookie: a=b; Path=/\r\nset-cookie: c=d\r\nContent-Length: 0\r\n\r\n"
    async with server(head) as (url, _), http_client(url, None, 1.0) as client:
        answer = await client.get("/page")

        assert answer.status_code == 200
        assert not client.cookies
