"""What runs on Neo4j: open and blocked transactions, their number, how long completed queries took."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from neo4j import AsyncGraphDatabase, AsyncTransaction

from exporter.datastores.base import Datastore
from exporter.queries.histogram import HistogramValue
from testkit.neo4j import Neo4j
from testkit.session import Servers
from tests.support.collect import Collected, collect_from
from tests.support.neo4j_targets import difference, each_version, opened

STAYS_BEHIND = 2.1  # seconds by which the reading of completed queries does


@pytest.fixture
def server(servers: Servers, version: str) -> Neo4j:
    return servers.neo4j(version)


@asynccontextmanager
async def open_transaction(server: Neo4j, cypher: str) -> AsyncIterator[AsyncTransaction]:
    """Run a statement in a transaction and leave it open."""
    login = (server.user, server.password)
    async with (
        AsyncGraphDatabase.driver(server.url, auth=login) as driver,
        driver.session(database="neo4j") as session,
        await session.begin_transaction() as transaction,
    ):
        await (await transaction.run(cypher)).consume()
        yield transaction


@each_version
async def test_open_and_blocked_transactions_are_seen(server: Neo4j) -> None:
    """A transaction that holds a lock, one that waits for it, and the age of the older one."""
    queries = ("transactions", "transaction_load", "transactions_over")
    server.run("MERGE (:Locked)")
    begun = time.time()
    async with opened(server) as datastore:
        quiet = await collect_from(datastore, "neo4j", queries)
        async with open_transaction(server, "MATCH (n:Locked) SET n.holder = 1") as holder:
            waiting = asyncio.create_task(_wait_for_lock(server))
            await asyncio.sleep(1.2)  # the lowest threshold
            busy = await _collect_until_blocked(datastore, queries)
            await holder.rollback()
            await waiting
        after = await collect_from(datastore, "neo4j", queries)
    server.run("MATCH (n:Locked) DELETE n")

    oldest = busy.value("neo4j_transactions_oldest_timestamp_seconds", db="neo4j")
    longest = busy.value("neo4j_transactions_longest_seconds", db="neo4j")
    assert _transactions(quiet) == _transactions(after) == (0, 0)
    assert _transactions(busy) == (1, 1)
    assert oldest is not None
    assert begun - 0.01 < oldest < time.time()
    assert longest is not None
    assert 1.0 < longest < time.time() - begun + 0.01
    assert busy.value("neo4j_transactions_over", db="neo4j", threshold="1") in (1, 2)
    assert busy.value("neo4j_transactions_over", db="neo4j", threshold="300") == 0
    assert (busy.value("neo4j_transactions_locks", db="neo4j") or 0) >= 2
    assert (busy.value("neo4j_transactions_wait_seconds", db="neo4j") or 0) > 0
    assert after.value("neo4j_transactions_oldest_timestamp_seconds", db="neo4j") is None
    assert after.value("neo4j_transactions_longest_seconds", db="neo4j") == 0


async def _wait_for_lock(server: Neo4j) -> None:
    async with open_transaction(server, "MATCH (n:Locked) SET n.waiter = 1"):
        pass


async def _collect_until_blocked(datastore: Datastore, queries: tuple[str, ...]) -> Collected:
    for _ in range(100):
        collected = await collect_from(datastore, "neo4j", queries)
        if _transactions(collected)[1]:
            break
        await asyncio.sleep(0.1)
    return collected


@each_version
async def test_transactions_are_counted(server: Neo4j) -> None:
    """Community has no counter of transactions; their numbers are one."""
    async with opened(server) as datastore:
        before = await collect_from(datastore, "neo4j", ["transactions_started"])
        for _ in range(10):
            server.run("RETURN 1")
        after = await collect_from(datastore, "neo4j", ["transactions_started"])

    assert 10 <= difference("neo4j_transactions_started_total", before, after) <= 30  # some are the server's own


@each_version
async def test_completed_queries_are_counted_once(server: Neo4j) -> None:
    """Others' queries and how long they took, each at one poll only; failed ones and our own are left out."""
    await asyncio.sleep(STAYS_BEHIND)  # what other tests did is not to be new
    async with opened(server) as datastore:
        first = _durations(await collect_from(datastore, "neo4j", ["query_durations"]))
        for _ in range(5):
            server.run("RETURN 1")
        begun = time.perf_counter()
        server.run("UNWIND range(1, 2000000) AS i RETURN sum(i % 7)")
        took = time.perf_counter() - begun
        with pytest.raises(Exception, match="zero"):
            server.run("RETURN 1 / 0")
        await asyncio.sleep(STAYS_BEHIND)
        second = _durations(await collect_from(datastore, "neo4j", ["query_durations", "counts"]))
        third = _durations(await collect_from(datastore, "neo4j", ["query_durations"]))

    assert first.buckets[-1][1] == 0
    assert second.buckets[-1][1] == 6
    assert second.sum is not None
    assert 0.02 < second.sum < took + 2
    assert third == second


def _transactions(collected: Collected) -> tuple[float | None, float | None]:
    running, blocked = (
        collected.value("neo4j_transactions", db="neo4j", status=status) for status in ("Running", "Blocked")
    )
    return running, blocked


def _durations(collected: Collected) -> HistogramValue:
    value: Any = collected.samples["neo4j_query_duration_seconds"][("db", "neo4j"),]
    assert isinstance(value, HistogramValue)
    return value
