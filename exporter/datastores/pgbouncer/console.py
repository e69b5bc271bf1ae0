"""One held connection to PgBouncer's console; the only user of the client."""

import asyncio
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import dict_row
from psycopg.waiting import wait_async

from exporter.datastores.pgbouncer.words import meaning
from exporter.query import QueryError, Reason, Row
from exporter.targets import PgbouncerTarget

_T = TypeVar("_T")

_CONNECT_SECONDS = 10


class Console:
    """The console as one lane sees it, connected when it is needed.

    psycopg, because the console speaks the simple protocol alone, which asyncpg cannot read.
    """

    def __init__(self, target: PgbouncerTarget) -> None:
        self._target = target
        self._connection: _Connection | None = None

    async def rows(self, command: str) -> list[Row]:
        """Run a command; when PgBouncer was restarted since the last one, log in again and run it."""
        held = self._connection is not None
        try:
            return await self._run(command)
        except psycopg.OperationalError:
            if not held or self._connection is not None:
                raise
        return await self._run(command)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _run(self, command: str) -> list[Row]:
        if self._connection is None:
            self._connection = await _connect(self._target)
        connection = self._connection
        try:
            cursor = await connection.execute(command.encode())
            return list(await cursor.fetchall())
        finally:
            if connection.closed:
                self._connection = None


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
    try:
        return await _Connection.connect(
            target.url.get_secret_value(),
            password=password,
            autocommit=True,
            prepare_threshold=None,
            cursor_factory=psycopg.AsyncClientCursor,
            row_factory=dict_row,
            application_name="datatier-exporter",
            connect_timeout=_CONNECT_SECONDS,
        )
    except psycopg.ProgrammingError:  # from a URL that does not parse; its message may quote a part of the password
        message = "the URL cannot be read; percent-encode special characters in user and password"
        raise QueryError("connect", message) from None


def reason_of(error: BaseException) -> Reason:
    """Classify an error of psycopg, of the network under it, or of our own."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, TimeoutError | psycopg.errors.ConnectionTimeout):
        return "timeout"
    if isinstance(error, OSError | psycopg.InterfaceError | psycopg.OperationalError):
        return meaning(str(error))
    return "decode"
