"""Running queries looked at every second, on every version: statements of known length land in their bracket."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.queries.query import Query
from exporter.settings import read_queries
from testkit.postgres import PASSWORDS, Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.exporter_process import Exporter
from tests.support.postgres_polls import client, opened, poll, until

VERSIONS = ("14", "15", "16", "17", "18")
THRESHOLDS = (1, 5, 30, 300)
SLEEPS = (0.2, 0.6, 1.1, 1.5, 2.4, 3.3, 6.6)
pytestmark = pytest.mark.servers(*(f"postgres:{version}" for version in VERSIONS))


@pytest.fixture
def sampler() -> Query:
    [query] = (query for query in read_queries(["postgres"]) if query.name == "activity_sampler")
    return query


@dataclass
class Steps:
    """Take the steps that the sampler's lane would take, and note the widest gap between two."""

    datastore: PostgresDatastore
    query: Query
    widest: float = 0.0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self) -> None:
        last = time.monotonic()
        while not self.stopped.is_set():
            began = time.monotonic()
            async with self.datastore.session("sampler") as session:
                await session.fetch(self.query)
            now = time.monotonic()
            self.widest, last = max(self.widest, now - last), began
            await asyncio.sleep(self.query.step_every or 0)


async def run(server: Postgres, statement: str) -> float:
    """Run a statement and return how long that took, seen from here."""
    async with client(server, statement_cache_size=0) as connection:
        began = time.monotonic()
        await connection.execute(statement)
        return time.monotonic() - began


async def seen_while(server: Postgres, sampler: Query, *statements: str) -> tuple[Collected, Steps, list[float]]:
    """Sample a server while statements run side by side; return what is counted and how long they took."""
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        steps = Steps(datastore, sampler)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(steps.take())
            took = await asyncio.gather(*(run(server, statement) for statement in statements))
            steps.stopped.set()
        return await poll(datastore, "activity_sampler"), steps, took


def counted(collected: Collected, threshold: int, datname: str = "app") -> float | None:
    return collected.value("pg_query_ran_longer_than_total", datname=datname, threshold=str(threshold))


async def test_statements_of_known_length_are_counted_within_their_bracket(servers: Servers, sampler: Query) -> None:
    """At least those that slept a gap between two looks longer than the threshold, at most those that took longer."""
    every = [servers.postgres(version) for version in VERSIONS]
    sleeps = [f"SELECT pg_sleep({seconds})" for seconds in SLEEPS]
    found = await asyncio.gather(*(seen_while(server, sampler, *sleeps) for server in every))

    for collected, steps, took in found:
        for threshold in THRESHOLDS:
            at_least = sum(seconds >= threshold + steps.widest for seconds in SLEEPS)
            assert at_least <= (counted(collected, threshold) or 0) <= sum(seconds >= threshold for seconds in took)
            assert counted(collected, threshold, "postgres") == 0
        assert (counted(collected, 1) or 0) > 0
        longest = collected.value("pg_active_query_max_seconds", datname="app", threshold="")
        assert max(SLEEPS) - steps.widest <= (longest or 0) <= max(took)


async def test_only_clients_that_run_something_are_counted(servers: Servers, sampler: Query) -> None:
    """Neither a transaction that waits for its client, nor the exporter itself, here or elsewhere."""
    server = servers.postgres("18")
    async with client(server) as idle, client(server, user="monitor", password=PASSWORDS["monitor"]) as busy:
        await idle.execute("BEGIN; SELECT 1")
        await busy.execute("SET application_name = 'datatier-exporter'")
        own = asyncio.create_task(busy.execute("SELECT pg_sleep(4)"))
        older = "state <> 'idle' AND query_start < clock_timestamp() - interval '1.1 s'"
        await until(server, f"SELECT 1 FROM pg_stat_activity WHERE datname = 'app' AND {older} HAVING count(*) = 2")
        collected, _, _ = await seen_while(server, sampler, "SELECT 1")
        assert not own.done()
        await own

    assert [counted(collected, threshold) for threshold in THRESHOLDS] == [0, 0, 0, 0]


def test_the_service_samples_where_it_is_asked_to(servers: Servers) -> None:
    server = servers.postgres("17")

    def longer_than_a_second() -> float | None:
        return exporter.value("pg_query_ran_longer_than_total", target="asked", datname="app", threshold="1")

    with Exporter([server.target("asked", sample_activity=True), server.target("silent")]) as exporter:
        exporter.wait(lambda: longer_than_a_second() is not None, "zeros")
        exporter.wait(lambda: exporter.value("pg_up", target="silent") == 1, "the other target")
        before = longer_than_a_second() or 0
        server.psql("SELECT pg_sleep(2.5)", "app")
        exporter.wait(lambda: longer_than_a_second() == before + 1, "the query")
        samples = exporter.samples()

    assert {dict(labels)["target"] for labels in samples["pg_query_ran_longer_than_total"]} == {"asked"}
