"""One held connection to PgBouncer's console; the only user of the client."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import dict_row
from psycopg.waiting import wait_async

from exporter.datastores.keepalive import IDLE_SECONDS, INTERVAL_SECONDS, LOST_MILLISECONDS, PROBES
from exporter.datastores.pgbouncer.handshake import certificate, libpq_tls
from exporter.datastores.pgbouncer.words import meaning
from exporter.datastores.postgres.encoding import decode
from exporter.datastores.tls import Tls
from exporter.query import QueryError, Reason, Row
from exporter.targets import PgbouncerTarget
from exporter.tls_context import TlsFiles

_T = TypeVar("_T")

_CONNECT_SECONDS = 10
_OTHERS = ("application_name", "fallback_application_name", "connect_timeout", "binary_parameters", "client_encoding")
_KEEPALIVE: Mapping[str, Any] = {
    "keepalives_idle": IDLE_SECONDS,
    "keepalives_interval": INTERVAL_SECONDS,
    "keepalives_count": PROBES,
    "tcp_user_timeout": LOST_MILLISECONDS,
}


class Console:
    """The console as one lane sees it, connected when it is needed.

    psycopg, because the console speaks the simple protocol alone, which asyncpg cannot read.
    """

    def __init__(self, target: PgbouncerTarget) -> None:
        self._target = target
        self._connection: _Connection | None = None
        self.opened = 0

    async def rows(self, command: str) -> list[Row]:
        """Run a command; when PgBouncer was restarted since the last one, log in again and run it."""
        held = self._connection is not None
        try:
            return await self._run(command)
        except psycopg.OperationalError:
            if not held or self._connection is not None:
                raise
        return await self._run(command)

    async def certificate(self) -> bytes | None:
        """Return what the server shows to who connects now, in DER; None without TLS, or where it does not answer."""
        connection = self._connection
        if connection is None or not connection.pgconn.ssl_in_use:
            return None
        info, said = connection.info, connection.info.get_parameters()
        cert, key = (Path(said[name]) if name in said else None for name in ("sslcert", "sslkey"))
        tls = Tls(TlsFiles(None, cert, key, verify=False))
        try:
            return await certificate(info.hostaddr, info.port, info.host, tls)
        except (OSError, EOFError):
            return None

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _run(self, command: str) -> list[Row]:
        if self._connection is None:
            self._connection = await _connect(self._target)
            self.opened += 1
        connection = self._connection
        try:
            cursor = await connection.execute(command.encode())
            return list(await cursor.fetchall())
        finally:
            if connection.closed:
                self._connection = None


class _Text(psycopg.adapt.Loader):
    """Names are bytes, which any client can make the pooler tell of; psycopg decodes strictly."""

    def load(self, data: bytes | bytearray | memoryview) -> str:
        return decode(bytes(data))[0]


class _Connection(psycopg.AsyncConnection[dict[str, Any]]):
    async def wait(
        self,
        gen: PQGen[_T],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - psycopg's signature; it is for notifications
    ) -> _T:
        """Leave at once where a deadline ends it: psycopg would ask a frozen server to cancel, and wait for 10 s."""
        try:
            return await wait_async(gen, self.pgconn.socket, interval)
        except asyncio.CancelledError:
            self.pgconn.finish()
            raise


async def _connect(target: PgbouncerTarget) -> _Connection:
    try:
        password = target.secret("password")
    except ValueError as error:  # its file can be read no more
        raise QueryError("auth", str(error)) from None
    info = target.conninfo
    host, port = info.hosts[0].name, str(info.hosts[0].port)
    given: dict[str, Any] = {**_KEEPALIVE, **{n: v for n, v in info.parameters.items() if n not in _OTHERS}}
    given |= {"host": ",".join(h.name for h in info.hosts), "port": ",".join(str(h.port) for h in info.hosts)}
    given |= {"user": info.user, "dbname": info.database, "password": info.password}
    given |= await libpq_tls(target, host, port)
    if password is not None:
        given["password"] = password
    try:
        connection = await _Connection.connect(
            **given,
            autocommit=True,
            prepare_threshold=None,
            cursor_factory=psycopg.AsyncClientCursor,
            row_factory=dict_row,
            application_name="datatier-exporter",
            connect_timeout=_CONNECT_SECONDS,
        )
        connection.adapters.register_loader("text", _Text)
    except asyncio.CancelledError as ended:
        raise ended.with_traceback(None) from None  # its frames hold the connection that libpq has begun
    except psycopg.OperationalError as error:
        if target.tls and "certificate verify failed" in str(error):
            await _say_why(target, host, port)
        raise
    return connection


async def _say_why(target: PgbouncerTarget, host: str, port: str) -> None:
    """Raise why the server's certificate is refused: libpq knows, and does not tell."""
    try:
        await certificate(host, port, host, Tls(target.tls_files, target.server_name))
    except ssl.SSLError as error:
        raise QueryError("connect", f"TLS with the server failed: {error}") from None


def reason_of(error: BaseException) -> Reason:
    """Classify an error of psycopg, of the network under it, or of our own."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, TimeoutError | psycopg.errors.ConnectionTimeout):
        return "timeout"
    if isinstance(error, OSError | psycopg.InterfaceError | psycopg.OperationalError):
        return meaning(str(error))
    return "decode"
