"""HTTP clients that read each response whole, within one deadline and one bound of bytes."""

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import anyio._backends._asyncio
import anyio.streams.tls
import httpcore
import httpx

from exporter.datastores.keepalive import SOCKET_OPTIONS
from exporter.errors import QueryError, Reason

# httpx would import these with its first request, which fails where no file descriptors are left.
_IMPORTED_EARLY = (anyio, httpcore)
BODY_BYTES = 8 * 2**20
# So many pieces of a body, which may be a byte each, are joined before the loop continues with other tasks. One growing
# buffer would leave holes in memory each time it moves: 8 MiB would take 60.
_PIECES = 64
# Words of a RemoteProtocolError when the server closed the connection, or sent too much; otherwise it sent garbage.
_PROTOCOL_ERRORS: Mapping[str, Reason] = {"closed": "connect", "disconnected": "connect", "too long": "limit"}


def http_client(
    url: str,
    tls: ssl.SSLContext | None,
    seconds: float,
    transport: httpx.AsyncBaseTransport | None = None,
    body_bytes: int = BODY_BYTES,
) -> httpx.AsyncClient:
    """Make a client of one server, for the few connections of our lanes; tests give a transport.

    seconds: for a whole response, unless a request has its own `timeout`. body_bytes: of one response, unless a
    request has the extension `body_bytes`. No redirect is followed.
    """
    for name in ("httpx", "httpcore"):  # each request with its address at INFO, the host at DEBUG
        logging.getLogger(name).setLevel(logging.WARNING)
    # trust_env: a proxy set for other purposes must not come between.
    bounded = Bounded(transport or http_transport(tls, 4), body_bytes)
    return httpx.AsyncClient(base_url=url, timeout=seconds, trust_env=False, transport=bounded)


def http_transport(tls: ssl.SSLContext | None, connections: int) -> httpx.AsyncBaseTransport:
    """Make a transport without bounds; without TLS no authority is loaded, which would take 30 ms."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=1, keepalive_expiry=None)
    return httpx.AsyncHTTPTransport(
        verify=tls or False, trust_env=False, limits=limits, socket_options=list(SOCKET_OPTIONS)
    )


def http_reason(error: BaseException) -> Reason | None:
    """Classify what such a client raises; None for an error of neither HTTP nor the network."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "timeout"
    if isinstance(error, httpx.RemoteProtocolError):
        found = (reason for words, reason in _PROTOCOL_ERRORS.items() if words in str(error))
        return next(found, "decode")
    if isinstance(error, httpx.DecodingError):
        return "decode"
    return "connect" if isinstance(error, httpx.HTTPError | OSError) else None


def date_of(headers: Mapping[str, str]) -> float | None:
    """Return the server's time when it responded, as Unix time; None without a valid date."""
    try:
        return parsedate_to_datetime(headers["date"]).replace(tzinfo=UTC).timestamp() + 0.5  # it has whole seconds
    except (KeyError, ValueError, OverflowError):
        return None


class Bounded(httpx.AsyncBaseTransport):
    """Read each response whole: one that is slow, endless or compressed costs a typed error, and no memory.

    Cookies are dropped: a server that sets new ones with each response would fill the client's memory.
    The request's read timeout is the deadline of the whole exchange, from the connection to the last byte. The
    response's extension `clock_skew` is how many seconds the server's clock is ahead of ours, or None.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, body_bytes: int = BODY_BYTES) -> None:
        self._inner = inner
        self._body_bytes = body_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # 5 kB can inflate to gigabytes.
        request.headers["accept-encoding"] = "identity"
        seconds = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(request)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer within {seconds} s", request=request) from None

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        began = time.time()
        response = await self._inner.handle_async_request(request)
        date, half_way = date_of(response.headers), (began + time.time()) / 2
        try:
            content = await self._body(request, response)
        finally:
            await response.aclose()
        extensions = {**response.extensions, "clock_skew": None if date is None else date - half_way}
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"set-cookie"]
        return httpx.Response(response.status_code, headers=headers, content=content, extensions=extensions)

    async def _body(self, request: httpx.Request, response: httpx.Response) -> bytes:
        most = int(request.extensions.get("body_bytes", self._body_bytes))
        path, encoding = request.url.path, response.headers.get("content-encoding", "")
        if encoding.strip().lower() not in ("", "identity"):
            raise QueryError("decode", f"{path} is compressed, although the request asked for no compression")
        if (length := response.headers.get("content-length", "")).isdecimal() and int(length[:20]) > most:
            raise _too_large(path, most)
        stream: Any = response.stream
        blocks, pieces, size = list[bytes](), list[bytes](), 0
        async for piece in stream:
            size += len(piece)
            if size > most:
                raise _too_large(path, most)
            pieces.append(piece)
            if len(pieces) == _PIECES:
                blocks.append(b"".join(pieces))
                pieces.clear()
                await asyncio.sleep(0)
        return b"".join((*blocks, *pieces))


def _too_large(path: str, most: int) -> QueryError:
    return QueryError("limit", f"{path} is larger than {most} bytes")
