"""Servers at their limits: tables locked away, connections used up, and the few that the exporter itself takes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import asyncpg
import pytest

from exporter.config.stores import Target
from exporter.datastores import open_datastore
from exporter.datastores.base import LANES, Lane
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from exporter.polling.poller import Poller
from exporter.polling.schedule import lane
from exporter.queries.query import Query
from exporter.settings import queries_for, read_queries
from exporter.state.events import Event, MonitoredTarget, Ping, Result
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import target_of
from tests.support.postgres_polls import client, fetch, opened, poll, sql

INTERVAL = 1.0
SECONDS = 5.0  # the poller's deadline of a ping
LONG = 120.0
ONE = sql("SELECT 1 AS value")


@pytest.fixture(scope="module", params=["14", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    settings = {"max_locks_per_transaction": "256"}
    with servers.private_postgres(request.param, settings) as server:
        server.psql("CREATE EXTENSION pgstattuple", "app")
        server.psql("CREATE EXTENSION pg_buffercache")
        server.psql("; ".join(f"CREATE TABLE locked_{n} (id serial PRIMARY KEY)" for n in range(200)), "app")
        server.psql("CREATE ROLE filler LOGIN PASSWORD 'filler'")
        yield server


class Watch:
    """A target as the service polls it, in the lanes of these queries; `results` has the last of each query."""

    def __init__(self, target: Target, queries: Sequence[Query]) -> None:
        self._datastore = open_datastore(target)
        self._news = asyncio.Event()
        self.queries = queries
        self.results: dict[tuple[str, str | None], Result] = {}
        self.pings: list[Ping] = []

    async def run(self) -> None:
        await Poller(MonitoredTarget("db", "postgres", INTERVAL), self._datastore, self.queries, self._publish).watch()

    def _publish(self, event: Event) -> None:
        if isinstance(event, Result):
            self.results[event.query.name, event.database] = event
        elif isinstance(event, Ping):
            self.pings.append(event)
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(LONG):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def everything(self) -> None:
        """Wait until every query was asked, in every database that it visits."""
        places = {
            (query.name, database)
            for query in self.queries
            for database in (("app", "postgres") if query.scope == "database" else (None,))
        }
        await self.until(lambda: places <= self.results.keys())

    def failures(self) -> dict[tuple[str, str | None], str]:
        """Return what failed, and why; what a server cannot know at all has not failed."""
        errors = {place: result.error for place, result in self.results.items()}
        return {place: str(error) for place, error in errors.items() if error and error.reason != "unsupported"}


@asynccontextmanager
async def watching(server: Postgres, lanes: Sequence[Lane] = LANES) -> AsyncIterator[Watch]:
    target = target_of(server.target("db", sample_activity=True))
    queries = queries_for(target, read_queries(["postgres"]))
    watch = Watch(target, [query for query in queries if lane(query) in lanes])
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize(
    ("tables", "locks"),
    [("orders", 1), ("events", 3), (", ".join(f"locked_{n}" for n in range(200)), 200)],
    ids=["one", "partitioned", "two hundred"],
)
async def test_locked_tables_stop_no_query(server: Postgres, tables: str, locks: int) -> None:
    """One session holds them in ACCESS EXCLUSIVE mode, the way a migration does."""
    async with client(server) as holder:
        await holder.execute(f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        async with watching(server) as watch:
            await watch.everything()

    assert watch.failures() == {}
    assert {ping.error for ping in watch.pings} == {None}
    [family] = [family for family in watch.results["locks", None].families if family.metric.name == "pg_locks_count"]
    where = (("datname", "app"), ("mode", "accessexclusivelock"))
    assert dict(zip(family.labels, family.values, strict=True))[where] == locks


async def test_the_exporter_takes_four_connections_at_the_most(server: Postgres) -> None:
    """In all lanes at once, database after database, with the sampler on; each login of its role counts."""
    counts = []
    async with client(server, "postgres") as observer, watching(server) as watch:
        asked = asyncio.create_task(watch.everything())
        while not asked.done():
            counts.append(await observer.fetchval("SELECT count(*) FROM pg_stat_activity WHERE usename = 'monitor'"))
        await asked
        names = await observer.fetch("SELECT DISTINCT application_name FROM pg_stat_activity WHERE usename = 'monitor'")

    assert watch.failures() == {}
    assert 2 <= max(counts) <= 4
    assert [tuple(row) for row in names] == [("datatier-exporter",)]


@asynccontextmanager
async def no_slot_left(server: Postgres) -> AsyncIterator[None]:
    """Take all connections that are not kept for superusers."""
    async with AsyncExitStack() as stack:
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                await stack.enter_async_context(client(server, user="filler", password="filler"))
        yield


async def test_polls_go_on_when_the_last_connection_is_taken(server: Postgres) -> None:
    """The held connection responds, and reports that it is the last."""
    async with watching(server, ["fast"]) as watch:
        await watch.everything()
        async with no_slot_left(server):
            watch.results.clear()
            watch.pings.clear()
            often = {(query.name, None) for query in watch.queries if query.interval is None}
            await watch.until(lambda: often <= watch.results.keys() and len(watch.pings) > 3)
            [outcome] = watch.results["connections", None].outcomes

    assert watch.failures() == {}
    assert {ping.error for ping in watch.pings} == {None}
    assert outcome.status == "fail"


async def test_a_login_without_a_free_connection_fails_with_limit(server: Postgres) -> None:
    """A new exporter, and the slow lane of one that is there, which logs in for each pass."""
    async with opened(server.target("there")) as there, opened(server.target("new")) as new:
        await there.ping()
        async with no_slot_left(server):
            reasons = [await failing(new, new.ping), await failing(there, lambda: fetch(there, ONE))]
            still = await poll(there, "connections")
        back = await within_deadline(new.ping, SECONDS, new.reason)

    assert reasons == ["limit", "limit"]
    assert still.statuses == {"connections": "fail"}
    assert back.role == "primary"


async def failing(datastore: PostgresDatastore, work: Callable[[], Awaitable[object]]) -> str:
    """Return the reason why work fails, which the poller gives no longer than its deadline."""
    with pytest.raises(QueryError) as caught:
        await within_deadline(work, SECONDS, datastore.reason)
    return caught.value.reason
