"""The HTTP protocol of uvicorn, with limits on time, size and number of connections."""

import asyncio
import math
import resource
import time
from collections import Counter
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_SECONDS = 10.0  # for a complete request to arrive
ANSWER_SECONDS = 60.0  # for the response to be made and received
IDLE_SECONDS = 75  # between requests: Prometheus keeps its connection open
HEAD_BYTES = 16 * 1024  # request line and headers
PIPELINED = 4  # requests that wait for the response to an earlier one; monitoring clients send none
CONNECTIONS = min(512, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)  # the other half is for the stores


class BoundedHttpProtocol(HttpToolsProtocol):
    """Serve one connection; close it when the client exceeds a limit. AccessMiddleware limits requests."""

    _timer: asyncio.TimerHandle | None = None
    _idle_since = 0.0  # time.monotonic(): the clock of the loop is the same for all clients of one iteration
    _head_bytes = 0  # received of a head that is not complete
    _status = HTTPStatus.BAD_REQUEST  # of the response when the parser fails

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # the signature of uvicorn
        super().connection_made(transport)
        self._idle_since = time.monotonic()
        self._arm_timer(REQUEST_SECONDS)
        if len(self.connections) > CONNECTIONS:
            self._evict_longest_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._idle and self._timer is None:
            self._arm_timer(REQUEST_SECONDS)
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests at once")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("too large a head")
        self._arm_timer(ANSWER_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        if not self.transport.is_closing():  # if it is, the timer limits how long the client takes to receive the rest
            self._cancel_timer()
            self._idle_since = time.monotonic()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; abort it if the client has not received its last response."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - parser errors are not for clients
        self._reject(self._status)

    @property
    def idle_since(self) -> float:
        """Return since when the connection is idle; infinity while a response is under way."""
        return self._idle_since if self._idle else math.inf

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _reject(self, status: HTTPStatus) -> None:
        if not self._idle:  # the client would take our response for a part of the one under way
            self.transport.abort()
            return
        text = f"{status.phrase.lower()}\n"
        head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        head += f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
        self.transport.write((head + text).encode())
        self.transport.close()

    def _evict_longest_idle(self) -> None:
        """Abort the longest idle connection of the client that has the most; it may be this one."""
        open_ones = [
            other
            for other in self.connections
            if isinstance(other, BoundedHttpProtocol) and not other.transport.is_closing()
        ]
        if len(open_ones) > CONNECTIONS:
            counts = Counter(origin(other.client) for other in open_ones)
            min(open_ones, key=lambda other: (-counts[origin(other.client)], other.idle_since)).transport.abort()

    def _arm_timer(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def origin(client: tuple[str, int] | None) -> str:
    """Identify a client by its IPv4 address, or the /64 network of its IPv6 address."""
    return _network(client[0]) if client else ""


@lru_cache(maxsize=1024)
def _network(host: str) -> str:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # of a Unix socket, or a test client
        return host
    if address.version == 4:  # noqa: PLR2004 - its name
        return str(address)
    return str(address.ipv4_mapped or address.packed[:8].hex())
