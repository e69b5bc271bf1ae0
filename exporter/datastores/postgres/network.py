"""The layer between asyncpg and the network: it makes the login, and bounds what a server sends.

asyncpg takes an event loop as an argument and opens its connections through it. This one returns connections of the
real loop, each with a protocol in between: it reads the messages of the login and responds to them itself (off the
loop where that takes long, and only with methods that the target allows), and closes the connection of a server that
sends more than a result may hold. Nothing of asyncpg is replaced.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Any

import asyncpg.protocol

from exporter.config.libpq.conninfo import Conninfo, Host
from exporter.datastores.pgwire.login import Login, Terms, check_peer
from exporter.datastores.pgwire.messages import LOGIN_BYTES, Scale, take, too_much
from exporter.datastores.tls import certificate_of
from exporter.errors import QueryError

_PIECE = 64 * 1024
_REQUEST, _PARAMETER, _READY = b"R"[0], b"S"[0], b"Z"[0]
_VERSION = re.compile(rb"server_version\0[1-9][0-9]?([.+a-z-][0-9A-Za-z.+-]{0,60})?( [ -~]{0,200})?\0")


class Network:
    """One attempt to connect, as the event loop that asyncpg works with.

    fault: why the connection was closed from our side; asyncpg knows only that it is lost.
    """

    def __init__(self, info: Conninfo, terms: Terms) -> None:
        self.fault: QueryError | None = None
        self.terms = terms
        self.worn = False
        self._loop = asyncio.get_running_loop()
        self._hosts = {(host.name, host.port): host for host in info.hosts}
        self._sockets = {host.socket: host for host in info.hosts if host.socket}
        self._peer = info.get("requirepeer")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(
        self, factory: Callable[[], Any], host: str, port: int, *, ssl: Any = None
    ) -> tuple["Transport", Any]:
        """Connect to a host, by its address where that is given."""
        self._stop_if_closed()
        found = self._hosts.get((host, port), Host(host, None, port))
        if found.socket is not None:
            return await self.create_unix_connection(factory, found.socket)
        inner = factory()
        name = {"ssl": ssl, "server_hostname": host} if ssl else {}
        outer = self._outer(inner)
        real, _ = await self._loop.create_connection(lambda: outer, found.address or host, port, **name)
        return Transport(self, real), inner

    async def create_unix_connection(self, factory: Callable[[], Any], path: str) -> tuple["Transport", Any]:
        self._stop_if_closed()
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(0)
        try:
            await self._loop.sock_connect(connection, path)
            check_peer(connection, self._peer)
            inner = factory()
            outer = self._outer(inner)
            real, _ = await self._loop.create_unix_connection(lambda: outer, sock=connection)
        except BaseException:
            connection.close()
            raise
        return Transport(self, real), inner

    async def start_tls(self, transport: "Transport", protocol: Any, context: Any, **options: Any) -> "Transport":
        real = await self._loop.start_tls(transport.real, protocol, context, **options)
        if real is None:
            raise ConnectionError("the connection was closed during the TLS handshake")
        return Transport(self, real)

    def _outer(self, inner: Any) -> Any:
        return BoundedProtocol(self, inner) if isinstance(inner, asyncpg.protocol.Protocol) else inner

    def _stop_if_closed(self) -> None:
        """Keep asyncpg from a retry, without TLS or at the next host, after a connection that we closed."""
        if self.fault is not None:
            raise self.fault


def network_of(connection: Any) -> Network:
    """Return the network of a connection of asyncpg."""
    network: Network = connection._transport.network  # noqa: SLF001 - asyncpg has no other way to it
    return network


class Transport:
    """A transport of the real loop, for asyncpg: each request that it sends begins a new response."""

    def __init__(self, network: Network, real: Any, guard: "BoundedProtocol | None" = None) -> None:
        self.real = real
        self.network = network
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def write(self, data: Any) -> None:
        self._ask()
        self.real.write(data)

    def writelines(self, data: Any) -> None:
        self._ask()
        self.real.writelines(data)

    def set_protocol(self, protocol: Any) -> None:
        """Put our protocol before asyncpg's, which has its connection already: after the start of TLS."""
        if isinstance(protocol, asyncpg.protocol.Protocol):
            self._guard = BoundedProtocol(self.network, protocol)
            self._guard.watch(self.real)
            protocol = self._guard
        self.real.set_protocol(protocol)

    def _ask(self) -> None:
        if self._guard is not None:
            self._guard.scale.reset()


class BoundedProtocol(asyncio.Protocol):
    """The protocol before asyncpg's: it makes the login, then passes data on within bounds."""

    def __init__(self, network: Network, inner: Any) -> None:
        self.scale = Scale()
        self._network = network
        self._inner = inner
        self._real: Any = None
        self._login: Login | None = None
        self._let_in = False
        self._version_known = False
        self._said = 0
        self._buffer = bytearray()
        self._answering: asyncio.Task[None] | None = None
        self._lost: tuple[Exception | None] | None = None

    def watch(self, real: Any) -> None:
        """Take over an open connection."""
        self._real = real
        local = real.get_extra_info("socket").family == socket.AF_UNIX
        private = local or real.get_extra_info("ssl_object") is not None
        self._login = Login(self._network.terms, certificate_of(real), private)

    def connection_made(self, transport: Any) -> None:
        self.watch(transport)
        self._inner.connection_made(Transport(self._network, transport, self))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = (exc,)
        self._forward_loss()

    def _forward_loss(self) -> None:
        """Report the lost connection to asyncpg, after everything that the server has sent."""
        if self._lost is not None and self._answering is None:
            [exc], self._lost = self._lost, None
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def eof_received(self) -> bool | None:
        return bool(self._inner.eof_received())

    def data_received(self, data: bytes) -> None:
        if self._network.fault is not None:
            return
        try:
            if self._let_in:
                self._pass_on(data)
            else:
                self._read_login(data)
        except QueryError as fault:
            self._close(fault)

    def _pass_on(self, data: bytes) -> None:
        self.scale.add(data)
        self._network.worn = self.scale.worn
        if len(data) > _PIECE:  # uvloop would read 32 such pieces before it does anything else
            self._real.pause_reading()
            self._network.call_soon(self._read_on)
        self._inner.data_received(data)

    def _read_on(self) -> None:
        if not self._real.is_closing():
            self._real.resume_reading()

    def _read_login(self, data: bytes) -> None:
        self._said += len(data)
        if self._said > LOGIN_BYTES:
            raise too_much("before the login ended", LOGIN_BYTES)
        self._buffer += data
        if self._answering is None:
            self._go_on()

    def _go_on(self) -> None:
        while not self._let_in and (message := take(self._buffer)) is not None:
            if message[0] == _REQUEST:
                self._answering = self._network.create_task(self._answer(message))
                self._answering.add_done_callback(self._answered)
                return
            self._look_at(message)
            self._inner.data_received(message)
        if self._let_in and self._buffer:
            rest, self._buffer = bytes(self._buffer), bytearray()
            self._pass_on(rest)

    def _look_at(self, message: bytes) -> None:
        """Check that asyncpg can read the version; its own error would not name the cause."""
        if message[0] == _PARAMETER and message[5:].startswith(b"server_version\0"):
            self._version_known = _VERSION.fullmatch(message[5:]) is not None
        elif message[0] == _READY:
            if not self._version_known:
                raise QueryError("decode", "the server does not say a version of PostgreSQL that can be read")
            self._let_in = True

    async def _answer(self, message: bytes) -> None:
        code = int.from_bytes(message[5:9])
        reply = await self._login.respond(code, message[9:]) if self._login else None
        if code == 0:
            self._inner.data_received(message)
        elif reply is not None:
            self._real.write(reply)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering = None
        try:
            task.result()
            self._go_on()
        except QueryError as fault:
            self._close(fault)
        except (OSError, RuntimeError, ImportError, ValueError) as error:  # such as no thread for the computation
            failed = QueryError("connect", f"the login failed: {error}")
            failed.__cause__ = error
            self._close(failed)
        self._forward_loss()

    def _close(self, fault: QueryError) -> None:
        self._network.fault = fault
        self._real.abort()
