"""One held connection to a PostgreSQL server."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, TypeVar

import asyncpg
import structlog

from exporter.datastores.postgres.connector import REFUSED, Connector
from exporter.datastores.postgres.errors import reason_of
from exporter.datastores.postgres.extensions import EXTENSIONS, Extension
from exporter.datastores.postgres.network import network_of
from exporter.datastores.postgres.session_settings import ours, statement_timeout, users_own
from exporter.datastores.postgres.transaction import AnotherServerError, execute_on_watched, transaction
from exporter.datastores.postgres.user_queries import LEAVE, untrusted_rows
from exporter.errors import NoSessionError
from exporter.queries.query import Row

PATIENCE_SECONDS = 2.0  # what the client waits longer than the server, which ends slow statements by itself
CLOSE_SECONDS = 1.0

# The driver cannot decode what came, or the server cannot convert what it has.
_UNCONVERTIBLE = (UnicodeDecodeError, asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_FATAL = ("FATAL", "PANIC")  # the server ends the session after these; asyncpg notices with the next statement

_log = structlog.get_logger("exporter")

T = TypeVar("T")


class LaneConnection:
    """The connection of one lane, to one database at a time, opened when it is needed.

    A bare connection, because asyncpg's pool does not come back from a frozen server. The server ends a statement
    before the caller's deadline, so a slow one costs nothing but itself; where the deadline passes all the same, the
    server does not respond, and the connection is dropped at once.

    users: for statements that users wrote, or that read what they made. These may call functions of any user, which
    may replace our prepared statements: so no other statement runs on such a connection.
    rival: a connection that is closed before this one is opened, where only one of the two may be open.
    """

    def __init__(self, connector: Connector, *, users: bool = False) -> None:
        self.connector = connector
        self.rival: LaneConnection | None = None
        self._users = users
        self._prologue = users_own if users else ours
        self._connection: Any = None
        self._home = connector.target.conninfo.database  # the same as no database
        self._database: str | None = None
        self._statement_timeout = ""
        self._extensions: Mapping[str, Extension] | None = None
        self._decodes_json = False
        self._any_server = False
        self._process: int | None = None  # of the server, while it runs a statement of users
        self._moves = 0
        self.opened = 0  # how often; after a change, facts about the server may be old

    async def ping(self, sql: str) -> Row:
        """Read one row from the server that the URL leads to now, and watch that server, by its `started_at`."""
        self._any_server = True
        try:
            [row] = await self.rows(sql)
        finally:
            self._any_server = False
        self.connector.watch(row["started_at"])  # type: ignore[arg-type]  # the statement casts it
        self._moves = self.connector.moves
        return row

    async def rows(
        self, sql: str, *arguments: object, seconds: float = 5.0, database: str | None = None
    ) -> Sequence[Row]:
        """Run one statement in a database, by default in the one of the URL."""

        async def run(connection: Any) -> Sequence[Row]:
            rows: Sequence[Row] = await connection.fetch(sql, *arguments, timeout=seconds + PATIENCE_SECONDS)
            return rows

        return await self._run(run, seconds, database)

    async def untrusted_rows(
        self, sql: str, *arguments: object, most: int, seconds: float = 5.0, database: str | None = None
    ) -> Sequence[Row]:
        """Run a statement that a user wrote, within the bounds of `user_queries`."""

        async def run(connection: Any) -> Sequence[Row]:
            return await untrusted_rows(connection, sql, arguments, most, visiting=database is not None)

        return await self._run(run, seconds, database)

    async def extensions(self, database: str | None = None, *, fresh: bool = False) -> Mapping[str, Extension]:
        """Return a database's extensions by name, read once a connection."""

        async def run(connection: Any) -> Mapping[str, Extension]:
            if fresh or self._extensions is None:
                rows = await connection.fetch(EXTENSIONS)
                self._extensions = {row[0]: Extension(*row[1:]) for row in rows}
            return self._extensions

        return await self._run(run, 5.0, database)

    async def decode_json(self, database: str | None = None) -> None:
        """Let json and jsonb arrive as objects; only where needed, for it costs look-ups in each new connection."""

        async def run(connection: Any) -> None:
            if not self._decodes_json:
                for name in ("json", "jsonb"):
                    await connection.set_type_codec(name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
                self._decodes_json = True

        await self._run(run, 5.0, database)

    async def close(self) -> None:
        """Close the connection, in order where the server still responds."""
        self._process = None
        if self._connection is not None:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                await self._connection.close(timeout=CLOSE_SECONDS)
            self.terminate()

    def terminate(self) -> None:
        if self._process is not None:
            self.connector.left_behind.note(self._process)
            self._process = None
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _run(self, run: Callable[[Any], Awaitable[T]], seconds: float, database: str | None) -> T:
        """Call `run` with a connection to the database; once more, unconverted, where a text cannot be converted."""
        database = None if database == self._home else database
        try:
            async with self._connected(database, seconds) as connection:
                return await run(connection)
        except _UNCONVERTIBLE:
            if database in self.connector.unconverted:
                raise
            self.connector.unconverted.add(database)
            await self.close()
        async with self._connected(database, seconds) as connection:
            return await run(connection)

    @asynccontextmanager
    async def _connected(self, database: str | None, seconds: float = 5.0) -> AsyncIterator[Any]:
        opening = not self._is_open(database)
        self._process = None
        try:
            if opening:
                await self.close()
                await self._open(database, seconds)
            if self.connector.target.via_pgbouncer or self._users:
                begin = self._prologue(self._connection, seconds, self._check(), local=True)
                async with transaction(self._connection, begin, LEAVE if self._users else "COMMIT"):
                    self._process = await self._serving() if self._users else None
                    yield self._connection
            else:
                await self._limit(seconds)
                yield self._connection
        except AnotherServerError:
            self.terminate()
            raise self.connector.leads_elsewhere(database) from None
        except asyncio.CancelledError:
            self.terminate()
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            fault = network_of(self._connection).fault if self._connection is not None else None
            if not isinstance(error, asyncpg.PostgresError) or error.severity_en in _FATAL:
                self.terminate()
                # A PgBouncer accepts the login itself, and reports a refusal of the server at the first statement.
                pooled = opening and self.connector.target.via_pgbouncer
                if pooled and (refusal := self.connector.refusal(error, database)):
                    raise refusal from None
            if fault is not None:
                raise fault from None
            raise
        self.connector.refusals.admit(database)

    def _is_open(self, database: str | None) -> bool:
        usable = self._connection is not None and not self._connection.is_closed()
        usable = usable and not network_of(self._connection).worn
        return usable and database == self._database and self._moves == self.connector.moves

    async def _serving(self) -> int:
        """Return the process of the server that responds; a pooler reports a number of its own."""
        if self.connector.target.via_pgbouncer:
            return int(await self._connection.fetchval("SELECT pg_catalog.pg_backend_pid()"))
        return int(self._connection.get_server_pid())

    def _check(self) -> str:
        return "SELECT 1" if self._any_server else self.connector.check_server()

    async def _open(self, database: str | None, seconds: float) -> None:
        if self.connector.refusals.waits(database):
            raise NoSessionError("unsupported", REFUSED, database)
        check, self._moves = self._check(), self.connector.moves
        if self.rival is not None:
            await self.rival.close()
        try:
            self._connection = await self.connector.connect(database, seconds, cached=not self._users)
        except (OSError, asyncpg.PostgresError) as error:
            if (refusal := self.connector.refusal(error, database)) is not None:
                raise refusal from None
            raise NoSessionError(reason_of(error), f"{type(error).__name__}: {error}") from error
        await self._settle(seconds, check)
        if getattr(self._connection.get_settings(), "is_superuser", "off") == "on":
            _warn_of_superuser(self.connector.target.name)
        self._database = database
        self._extensions = None
        self._decodes_json = False
        self.opened += 1

    async def _settle(self, seconds: float, check: str) -> None:
        """Set what the session is to keep, and check which server it is on; close it where either fails."""
        try:
            if not self.connector.target.via_pgbouncer:
                await execute_on_watched(self._connection, self._prologue(self._connection, seconds, check))
        except BaseException:
            self.terminate()
            raise
        self._statement_timeout = statement_timeout(seconds)

    async def _limit(self, seconds: float) -> None:
        wanted = statement_timeout(seconds)
        if wanted != self._statement_timeout:
            await self._connection.execute(f"SET statement_timeout = '{wanted}'")
            self._statement_timeout = wanted


@cache
def _warn_of_superuser(target: str) -> None:
    """Warn once: nothing holds back a superuser, whose functions read files and end sessions of others."""
    _log.warning("logs in as a superuser; a role with pg_monitor is enough", target=target)
