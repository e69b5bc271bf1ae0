"""Every series name with its labels, on each version: what upgrades, ours and PostgreSQL's, may not change unseen.

The files in tests/golden are written anew by `GOLDEN=write make test TESTS=tests/integration/postgres/test_golden.py`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

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
    """Hold a lock that another session waits for, a slow VACUUM and an idle session, and write all the while."""
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
    """Of a few polls together: a standby that has caught up reports no lag for a moment."""
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
