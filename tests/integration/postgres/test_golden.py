"""Every series name with its labels, on each version: what upgrades, ours and PostgreSQL's, may not change unseen.

The files in tests/golden are written anew by `GOLDEN=write make test TESTS=tests/integration/postgres/test_golden.py`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.paths import GOLDEN, ROOT
from tests.support.postgres_polls import client, eventually, opened, poll

VERSIONS = ("14", "15", "16", "17", "18")
SETTINGS = {
    "max_prepared_transactions": "5",
    "wal_level": "logical",
    "synchronous_standby_names": "*",
    "synchronous_commit": "local",
    "archive_mode": "on",
    "archive_command": "true",
    "track_wal_io_timing": "on",
    "pg_stat_statements.track_planning": "on",
}
# What these servers have no series of, and other tests have: pgvector, statistics of a week, a superuser's view, and
# work in progress other than VACUUM.
ELSEWHERE = {"vector_indexes", "vector_columns", "indexes_unused", "conf_load_error", "progress"}


@pytest.fixture(scope="module", params=VERSIONS)
def primary(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    newer = {"track_cost_delay_timing": "on"} if request.param == "18" else {}
    with servers.private_postgres(request.param, SETTINGS | newer) as primary:
        primary.psql("CREATE EXTENSION pg_buffercache")
        primary.psql((ROOT / "tests" / "support" / "prepared.sql").read_text(), "app")
        yield primary


@pytest.fixture(scope="module")
def replica(primary: Postgres) -> Iterator[Postgres]:
    with primary.replica() as replica:
        yield replica


@asynccontextmanager
async def busy(primary: Postgres, replica: Postgres) -> AsyncIterator[None]:
    """Hold a lock that somebody waits for, a VACUUM that takes its time, an idle session, and write all the while."""
    async with AsyncExitStack() as stack:
        holder, waiter, cleaner, writer = [await stack.enter_async_context(client(primary)) for _ in range(4)]
        await stack.enter_async_context(client(replica))
        await holder.execute("BEGIN; LOCK TABLE customers")
        await cleaner.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
        work = (waiter.execute("TABLE customers"), clean(cleaner), write(writer))
        tasks = [asyncio.create_task(statement) for statement in work]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def clean(connection: Any) -> None:
    """Go through all pages again and again, whatever autovacuum has done before."""
    while True:
        await connection.execute("VACUUM (DISABLE_PAGE_SKIPPING) bulky")


async def write(connection: Any) -> None:
    """Give the replica something to lag behind of."""
    while True:
        await connection.execute("INSERT INTO tenants VALUES ((SELECT max(id) + 1 FROM tenants), 'more')")
        await asyncio.sleep(0.02)


def described(collected: Collected) -> list[str]:
    """Return a line for each metric and set of label names that has a series."""
    types = {metric.name: metric.type for query in read_queries(["postgres"]) for metric in query.metrics}
    found = {
        f"{name}{{{','.join(sorted(label for label, _ in labels))}}} {types[name]}"
        for name, series in collected.samples.items()
        for labels in series
    }
    return sorted(found)


async def test_names_and_labels_are_the_golden_ones(primary: Postgres, replica: Postgres) -> None:
    """Of a few polls together: a standby that has caught up tells no lag for a moment."""
    file = GOLDEN / f"postgres_{primary.version}.txt"
    seen: set[str] = set()
    async with opened(primary.target("primary")) as at_primary, opened(replica.target("replica")) as at_replica:
        await poll(at_primary)
        await poll(at_replica)
        async with busy(primary, replica):
            await eventually(at_primary, "progress_vacuum", lambda now: now.series["progress_vacuum"])
            await eventually(at_primary, "blocking", lambda now: now.value("pg_blocked_sessions"))
            for _ in range(5):
                seen |= {f"primary {line}" for line in described(await poll(at_primary))}
                seen |= {f"replica {line}" for line in described(await poll(at_replica))}

    if os.environ.get("GOLDEN") == "write":
        file.write_text("".join(f"{line}\n" for line in sorted(seen)))
    assert sorted(seen) == file.read_text().splitlines()


class Series(NamedTuple):
    labels: set[str]
    kind: str


def sections(version: str) -> dict[str, dict[str, Series]]:
    """Read a golden file: for each role, the metrics by name."""
    found: dict[str, dict[str, Series]] = {"primary": {}, "replica": {}}
    for line in (GOLDEN / f"postgres_{version}.txt").read_text().splitlines():
        role, series, kind = line.split(" ")
        name, _, labels = series.removesuffix("}").partition("{")
        found[role][name] = Series(set(labels.split(",")), kind)
    return found


def test_every_query_is_in_a_golden_file() -> None:
    """No query is there that no server was seen to answer with series."""
    names = {name for version in VERSIONS for role in sections(version).values() for name in role}
    silent = {
        query.name
        for query in read_queries(["postgres"])
        if query.metrics and not query.when.configured and not names & {metric.name for metric in query.metrics}
    }

    assert silent == ELSEWHERE


CONTRACT = [
    line.split(" | ")
    for line in (GOLDEN / "postgres_exporter_0.20.1.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
UNBOUNDED = {"pid"}
UNBOUNDED_ACTIVITY = {"application_name", "usename", "wait_event"}


@pytest.mark.parametrize(("name", "kind", "labels", "places"), CONTRACT, ids=[entry[0] for entry in CONTRACT])
def test_a_name_of_postgres_exporter_is_there(name: str, kind: str, labels: str, places: str) -> None:
    """Where it served one so do we, with its labels but the unbounded ones; what its type's rules forbid is untyped."""
    dropped = UNBOUNDED | (UNBOUNDED_ACTIVITY if name.startswith("pg_stat_activity_") else set())
    wanted = set() if labels == "-" else set(labels.split(",")) - dropped
    for place in places.split(", "):
        version, role = place.split()
        ours = sections(version)[role].get(name)
        assert ours is not None, place
        assert wanted <= ours.labels, place
        assert ours.kind in {kind, "unknown"}, place
