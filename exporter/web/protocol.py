"""One client's connection: uvicorn's, with an end to whatever a client may draw out."""

import asyncio
import math
import resource
import time
from collections import Counter
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_SECONDS = 10.0  # for a request to arrive whole
ANSWER_SECONDS = 60.0  # for its answer to be made and taken
IDLE_SECONDS = 75  # between requests: Prometheus comes back on the same connection
HEAD_BYTES = 16 * 1024  # a request's line and headers
PIPELINED = 4  # requests that wait behind an unanswered one: no client of ours sends any
CONNECTIONS = min(512, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)  # the other half is for the stores


class BoundedHttpProtocol(HttpToolsProtocol):
    """Serve a client that is quick and terse, end one that is not; the guard has its eye on what is asked for."""

    _timer: asyncio.TimerHandle | None = None
    _since = 0.0  # the loop's own clock stands still within a turn, and takes many clients at once
    _unread = 0  # bytes of a head whose end has not come
    _problem = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._since = time.monotonic()
        self._arm_timer(REQUEST_SECONDS)
        if len(self.connections) > CONNECTIONS:
            self._evict_longest_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._idle and self._timer is None:
            self._arm_timer(REQUEST_SECONDS)
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests at once")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._unread = 0
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            self._problem = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise ValueError("too large a head")
        self._arm_timer(ANSWER_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        if not self.transport.is_closing():  # else the last bytes are still to be taken, and in time
            self._cancel_timer()
            self._since = time.monotonic()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that is idle, without patience for a client that has not taken its last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - strangers need not know what we understood
        self._refuse(self._problem)

    @property
    def waiting_since(self) -> float:
        """Return when the client was last owed something; an answer that is under way is owed for ever."""
        return self._since if self._idle else math.inf

    @property
    def origin(self) -> str:
        return origin_of(self.client[0]) if self.client else ""

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, status: HTTPStatus) -> None:
        if not self._idle:  # an answer is under way, and cannot be told from what we would say
            self.transport.abort()
            return
        text = f"{status.phrase.lower()}\n"
        head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        head += f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
        self.transport.write((head + text).encode())
        self.transport.close()

    def _evict_longest_idle(self) -> None:
        """End the connection that has been waiting longest, of the client that has most; it may be this one.

        Those that end already are no more.
        """
        ours = [
            other
            for other in self.connections
            if isinstance(other, BoundedHttpProtocol) and not other.transport.is_closing()
        ]
        if len(ours) > CONNECTIONS:
            crowds = Counter(other.origin for other in ours)
            min(ours, key=lambda other: (-crowds[other.origin], other.waiting_since)).transport.abort()

    def _arm_timer(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def origin(scope: Scope) -> str:
    """Name the client of a request: its IPv4 address, or the half of its IPv6 address that one customer has whole."""
    client = scope.get("client")
    return origin_of(client[0]) if client else ""


@lru_cache(maxsize=1024)
def origin_of(host: str) -> str:
    """Name the origin of an address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket's, a test's
        return host
    if address.version == 4:  # noqa: PLR2004 - its name
        return str(address)
    return str(address.ipv4_mapped or address.packed[:8].hex())
