"""Neo4j by its asynchronous driver: one connection pool a target, read-only, small."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Self

from neo4j.exceptions import Neo4jError

from exporter.config.stores.neo4j import Neo4jTarget
from exporter.datastores.base import Lane
from exporter.datastores.caches import CachedFacts, PassCache
from exporter.datastores.neo4j.connection import Connection
from exporter.datastores.neo4j.errors import is_refusal, reason_of
from exporter.datastores.neo4j.facts import SYSTEM, closed_home, home_state, read_facts, round_trip
from exporter.datastores.neo4j.operations import OPERATIONS
from exporter.datastores.neo4j.session import NO_PARAMETERS, PAGES
from exporter.datastores.tls import CertificateExpiry, tls_of
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import PageSession, States, run_operation
from exporter.queries.query import Query, Row

_PING_SECONDS = 5.0

_ONLINE = """
SHOW DATABASES YIELD name, type, currentStatus
WHERE type = 'standard' AND currentStatus = 'online'
RETURN DISTINCT name
"""


def open_datastore(target: Neo4jTarget) -> "Neo4jDatastore":
    return Neo4jDatastore(target)


class Neo4jDatastore:
    """One Neo4j server.

    Its facts are read after a failed ping, after a restart or an upgrade between two pings, and every ten minutes.
    """

    def __init__(self, target: Neo4jTarget) -> None:
        self._target = target
        self._connection: Connection | None = None
        self._answers = True
        self._tls = tls_of(target)
        self._expiry = CertificateExpiry()
        self._facts = CachedFacts[ServerInfo]()
        self._closed = ""  # the home database and its status, where that is not online
        self.clock_skew: float | None = None
        self.states: States = {}
        self._home_only: set[str] = set()  # texts that the system database rejected

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close()

    async def ping(self) -> ServerInfo:
        with self._facts.invalid_after_failure():
            connection = await self._connected()
            started_at, closed = await self._round_trip(connection)
            if self._facts.known and self._facts.known.started_at != started_at:
                self._facts.invalidate()
            facts = await self._facts.get(lambda: self._read_facts(connection, home_open=closed is None))
            not_after = await self._expiry.of(self._tls.certificate if self._tls else None)
        self._closed = closed or ""
        return replace(facts, tls_not_after=not_after, unserved=self._closed)

    async def _round_trip(self, connection: Connection) -> tuple[float | None, str | None]:
        """Make the round trip; return when the server started, and the state of a home database that is closed."""
        known = self._facts.known
        self._answers = False
        started_at = known.started_at if known else None
        self.clock_skew, began = None, time.time()
        # Known to be closed, the database is not pinged: the server would wait two seconds for it.
        closed = await home_state(connection, _PING_SECONDS) if self._closed else None
        if closed is None:
            try:
                started_at, server_time = await round_trip(connection, known, _PING_SECONDS)
                self.clock_skew = None if server_time is None else server_time - (began + time.time()) / 2
            except Neo4jError as error:
                closed = await closed_home(connection, error, _PING_SECONDS)
        self._answers = True
        return started_at, closed

    async def _read_facts(self, connection: Connection, *, home_open: bool) -> ServerInfo:
        facts = await read_facts(connection, _PING_SECONDS, home_open=home_open)
        self._home_only.clear()
        return facts

    async def _connected(self) -> Connection:
        """Return the driver; a new one after a ping that failed, for all connections may lead nowhere."""
        if not self._answers:
            await self._close()
        if self._connection is None:
            self._connection = Connection(self._target, self._tls)
        return self._connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def databases(self) -> Sequence[str]:
        rows = await self.run(_ONLINE, None, _PING_SECONDS)
        return sorted(filter(self.matches, (str(row["name"]) for row in rows)))

    def matches(self, database: str) -> bool:
        return self._target.databases.matches(database)

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator["Neo4jSession"]:  # noqa: ARG002 - the pool serves all lanes
        yield Neo4jSession(self)

    def reason(self, error: BaseException) -> Reason:
        return reason_of(error)

    @property
    def info(self) -> ServerInfo:
        if self._facts.known is None:
            raise QueryError("connect", "no ping has succeeded yet")
        return self._facts.known

    async def run(
        self, text: str, database: str | None, seconds: float, parameters: Mapping[str, object] = NO_PARAMETERS
    ) -> list[Row]:
        """Run a statement in a database; None is the system database, or the home one where that rejects it.

        The system database is open while the others are down, but runs only SHOW and procedures, without other clauses.
        """
        if self._connection is None:
            raise QueryError("connect", "there was no ping yet")
        run = self._connection.run
        if database is not None:
            return await run(text, database, seconds, {**parameters, "database": database})
        if text not in self._home_only:
            try:
                return await run(text, SYSTEM, seconds, parameters)
            except Neo4jError as error:
                if not is_refusal(error):
                    raise
        rows = await run(text, None, seconds, parameters)
        self._home_only.add(text)
        return rows


class Neo4jSession(PageSession):
    """One pass of a lane; it runs one query at a time."""

    def __init__(self, datastore: Neo4jDatastore) -> None:
        self._datastore = datastore
        self._pages = PassCache()
        self._database: str | None = None
        self._seconds = _PING_SECONDS

    @property
    def info(self) -> ServerInfo:
        return self._datastore.info

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        if unmet := query.when.extension_unmet(self.info.extensions):
            raise QueryError("unsupported", unmet)
        self._database, self._seconds = database, query.timeout
        if query.operation is not None:
            rows = await run_operation(OPERATIONS, self._datastore.states, self, query, database)
        else:
            rows = list(unwind_rows(await self.run(query.text(self.info.version))))
        if "db" not in query.labels:
            return rows
        return [row for row in rows if not row.get("db") or self._datastore.matches(str(row["db"]))]

    async def run(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]:
        """Run a statement in the query's database; the server enforces the query's timeout."""
        return await self._datastore.run(text, self._database, self._seconds, parameters)

    async def read(self, page: str) -> list[Row]:
        """Return the rows of a statement that several operations read, once a pass."""
        return await self._pages.get(page, lambda: self.run(*PAGES[page]))


def unwind_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Replace each row whose column `rows` is a list of maps by those maps, each with the row's other columns.

    It stands in for UNWIND, which neither SHOW nor the system database offers.
    """
    for row in rows:
        inner = row.get("rows")
        if isinstance(inner, list):
            rest = {name: value for name, value in row.items() if name != "rows"}
            yield from ({**rest, **item} for item in inner)
        else:
            yield row
