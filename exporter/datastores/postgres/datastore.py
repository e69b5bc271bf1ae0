"""A PostgreSQL server: one connection for the fast lane, one for the slow lane's walk over all databases."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import asyncpg

from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores.base import LANES, Datastore, Lane, Session
from exporter.datastores.caches import CachedFacts, PassCache
from exporter.datastores.postgres.connection import CLOSE_SECONDS, LaneConnection
from exporter.datastores.postgres.connector import Connector
from exporter.datastores.postgres.errors import reason_of
from exporter.datastores.postgres.extensions import Extension
from exporter.datastores.postgres.facts import PING, Facts, names, open_databases, read_facts, server_info, skew_of
from exporter.datastores.postgres.fresh_login import log_in
from exporter.datastores.postgres.operations.registry import OPERATIONS
from exporter.datastores.postgres.session import LoginOutcome, OperationSession
from exporter.datastores.tls import CertificateExpiry, ReloadingClientContext
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import PageSession, States, run_operation
from exporter.queries.query import Query, Row, unsupported

if TYPE_CHECKING:
    from exporter.datastores.postgres.patroni_api import PatroniApi


_MOST_ROWS = 100_000  # that an operation may add up of a user's statement


def open_datastore(target: PostgresTarget) -> Datastore:
    return PostgresDatastore(target)


class PostgresDatastore:
    """One server, with five connections at most: one a lane, one for statements of users, one that probes the login.

    What changes rarely is read again after a reconnect, a change of version, role or grants, and every ten minutes. A
    restarted or another server makes the operations begin anew, for the counters of two servers cannot be compared.
    """

    def __init__(self, target: PostgresTarget) -> None:
        self._target = target
        self._connector = Connector(target)
        lanes: tuple[Lane, ...] = (*LANES, "sampler")
        self._connections = {lane: LaneConnection(self._connector) for lane in lanes}
        self._users = {lane: LaneConnection(self._connector, users=True) for lane in LANES}
        self._connections["slow"].rival, self._users["slow"].rival = self._users["slow"], self._connections["slow"]
        self._expiry = CertificateExpiry()
        self._patroni = open_patroni(target)
        self._info: ServerInfo | None = None
        self.clock_skew: float | None = None
        self._databases: Sequence[str] = ()
        self._facts: CachedFacts[Facts] = CachedFacts()
        self._states: States = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._end_left_behind()
        await asyncio.gather(*(held.close() for held in (*self._connections.values(), *self._users.values())))
        if self._patroni is not None:
            await self._patroni.close()

    async def ping(self) -> ServerInfo:
        """Identify the server, on the fast lane's connection."""
        connection, self.clock_skew = self._connections["fast"], None
        began = time.time()
        row = await connection.ping(PING)
        self.clock_skew = skew_of(row, began, time.time())
        await self._end_left_behind()
        key = (connection.opened, row["started_at"], row["version"], row["is_replica"], row["not_granted"])
        facts = await self._facts.get(partial(self._read_facts, connection, row), key)
        if self._info is not None and self._info.started_at != row["started_at"]:
            self._states.clear()
        self._info = server_info(row, facts, await self._expiry.of(self._connector.certificate))
        self._databases = open_databases(row, facts, self._target.databases)
        self._connector.retain(self._databases)
        for kept in [kept for kept in self._states if kept[1] not in (None, *self._databases)]:
            del self._states[kept]
        return self._info

    async def _end_left_behind(self) -> None:
        """End sessions that went on after their connection was dropped; after a failure the next ping tries again."""
        connection = self._connections["fast"]
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, QueryError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connector.left_behind.end(connection.rows)

    async def _read_facts(self, connection: LaneConnection, ping: Row) -> Facts:
        facts = await read_facts(connection, self._target.databases, names(ping["not_granted"]))
        self._connector.unknown_to_pooler.clear()
        return facts

    async def databases(self) -> Sequence[str]:
        """Name the databases of the last ping, without those that refused a login, here or in a PgBouncer."""
        connector = self._connector
        return [
            name
            for name in self._databases
            if name not in connector.unknown_to_pooler and not connector.refusals.waits(name)
        ]

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator[Session]:
        if self._info is None:
            raise QueryError("connect", "the server was not reached yet")
        connection, users = self._connections[lane], self._users.get(lane)
        moves = self._connector.moves
        try:
            yield PostgresSession(
                self._target, connection, self._info, self._states, moves, lane, users, patroni=self._patroni
            )
        finally:
            if lane == "slow":  # a backend keeps the catalogue of all tables it has visited in memory
                await asyncio.gather(*(held.close() for held in (self._connections["slow"], self._users["slow"])))

    def reason(self, error: BaseException) -> Reason:
        return reason_of(error)


@dataclass(frozen=True, slots=True)
class PostgresSession(PageSession):
    """One pass over a lane's connection; operations get it bound to their query's timeout and database.

    All of its rows are of one server: it ends where any lane reaches another one.
    """

    target: PostgresTarget
    connection: LaneConnection
    info: ServerInfo
    states: States
    moves: int
    lane: Lane = "fast"
    users: LaneConnection | None = None
    seconds: float = 5.0
    database: str | None = None
    untrusted: bool = False
    patroni: "PatroniApi | None" = None
    cache: PassCache = field(default_factory=PassCache)

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        """Run a query or operation where the server meets its conditions; of left out databases there are no rows."""
        if error := unsupported(query, self.info):
            raise error
        self.stays()
        bound = replace(self, seconds=query.timeout, database=database, untrusted=query.untrusted)
        if query.when.extension is not None:
            installed = {name: extension.version for name, extension in (await bound.extensions()).items()}
            if reason := query.when.extension_unmet(installed):
                raise QueryError("unsupported", reason)
        rows = await bound.answer(query)
        self.stays()
        if "datname" not in query.labels:
            return rows
        return [row for row in rows if not row["datname"] or self.target.databases.matches(str(row["datname"]))]

    def stays(self) -> None:
        """Raise QueryError where another server is watched since this pass began."""
        if self.connection.connector.moves != self.moves:
            raise QueryError("connect", "another server answered since this pass began")

    async def answer(self, query: Query) -> Sequence[Row]:
        """Run a query or operation as it is."""
        if query.operation is not None:
            session: OperationSession = self  # for mypy, which compares the two
            step = self.lane == "sampler"
            return await run_operation(OPERATIONS, self.states, session, query, self.database, step=step)
        if any(metric.type == "histogram" for metric in query.metrics):
            await (self.users if query.untrusted and self.users else self.connection).decode_json(self.database)
        text = query.text(self.info.version)
        return await (self.users_rows(text, most=query.max_series) if query.untrusted else self.rows(text))

    def in_database(self, database: str | None) -> "PostgresSession":
        return replace(self, database=database)

    def refusal(self, database: str) -> str | None:
        return self.connection.connector.refusals.why(database)

    def is_unknown_to_pooler(self, database: str) -> bool:
        return database in self.connection.connector.unknown_to_pooler

    async def read(self, page: str) -> Any:
        if self.patroni is None:
            raise QueryError("unsupported", "the target names no patroni")
        return await self.cache.get(page, partial(self.patroni.get, page))

    async def given_rows(self, sql: str) -> Sequence[Row]:
        return await (self.users_rows(sql, most=_MOST_ROWS) if self.untrusted else self.rows(sql))

    async def users_rows(self, sql: str, *arguments: object, most: int) -> Sequence[Row]:
        if self.users is None:
            raise QueryError("unsupported", "the sampler asks nothing of users")
        return await self.users.untrusted_rows(sql, *arguments, most=most, seconds=self.seconds, database=self.database)

    async def rows(self, sql: str, *arguments: object) -> Sequence[Row]:
        return await self.connection.rows(sql, *arguments, seconds=self.seconds, database=self.database)

    async def rows_of_relation(self, sql: str, *arguments: object, seconds: float) -> Sequence[Row]:
        try:
            return await self.connection.rows(sql, *arguments, seconds=seconds, database=self.database)
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.InternalServerError):
            return ()
        except UnicodeDecodeError:  # an error that names the relation, whose name is not UTF-8
            return ()

    async def log_in(self, seconds: float) -> LoginOutcome:
        return await log_in(self.connection.connector, seconds)

    async def extensions(self, *, fresh: bool = False) -> Mapping[str, Extension]:
        return await self.connection.extensions(self.database, fresh=fresh)


def open_patroni(target: PostgresTarget) -> "PatroniApi | None":
    if target.patroni is None:
        return None
    from exporter.datastores.postgres.patroni_api import PatroniApi  # noqa: PLC0415 - httpx, where a target needs it

    # Its certificate has the name in its own URL, not the server_name of the target.
    tls = ReloadingClientContext(target.tls_files) if target.patroni.scheme == "https" else None
    return PatroniApi(target.patroni, tls)
