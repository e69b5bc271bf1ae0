"""Sessions that wait for each other: chains, queues, their causes, and that no query is run while no session waits."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Self

import asyncpg
import pytest

from exporter.config.thresholds import Limit
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.queries.loader import builtin_folder
from exporter.queries.query import Query
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import client, eventually, fetch, opened, poll
from tests.support.queries import load_query

STATES = (
    "active", "idle", "idle in transaction", "idle in transaction (aborted)", "prepared transaction", "other",
)  # fmt: skip
NAMES = ("pg_blocked_sessions", "pg_blocking_chain_depth", "pg_blocking_max_victims")


@pytest.fixture(scope="module", params=["14", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    settings = {"max_connections": "100", "max_prepared_transactions": "5", "client_connection_check_interval": "100ms"}
    with servers.private_postgres(request.param, settings) as server:
        yield server


@pytest.fixture
async def datastore(server: Postgres) -> AsyncIterator[PostgresDatastore]:
    async with opened(server.target("db")) as datastore:
        yield datastore


class Clients:
    """Open connections, and leave some of them waiting."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._stack = AsyncExitStack()
        self._waiting: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()
        for task in self._waiting:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await task

    async def run(self, *statements: str) -> Any:
        """Connect, run the statements one by one and stay."""
        connection = await self._stack.enter_async_context(client(self._server))
        for statement in statements:
            with suppress(asyncpg.DivisionByZeroError):
                await connection.execute(statement)
        return connection

    async def wait(self, statement: str, *before: str) -> None:
        """Do the same, and let one more statement wait, however long."""
        connection = await self.run(*before)
        self._waiting.append(asyncio.create_task(connection.execute(statement)))


def change(row: int) -> str:
    return f"UPDATE products SET price = price + 1 WHERE id = {row}"


def blocking(collected: Collected) -> tuple[float | None, ...]:
    """Return sessions blocked, depth and victims."""
    return tuple(collected.value(name) for name in NAMES)


def roots(collected: Collected) -> dict[str, float | None]:
    """Return the states of sessions that block others."""
    found = {state: collected.value("pg_blocking_roots", state=state) for state in STATES}
    assert None not in found.values()
    return {state: count for state, count in found.items() if count}


async def until_blocked(datastore: PostgresDatastore, count: int) -> Collected:
    """Poll until so many wait, then once more for the states of those they wait for."""
    seen = await eventually(datastore, "blocking", lambda now: now.value("pg_blocked_sessions") == count)
    seen.samples |= (await poll(datastore, "blocking_roots")).samples
    return seen


async def named(datastore: PostgresDatastore) -> Sequence[object]:
    [query] = [query for query in read_queries(["postgres"]) if query.name == "blocking"]
    return query.findings_in(await fetch(datastore, query))


async def test_a_chain_four_deep_with_fourteen_victims(server: Postgres, datastore: PostgresDatastore) -> None:
    quiet = await poll(datastore, "blocking", "blocking_roots")
    async with Clients(server) as those:
        root = await those.run("BEGIN", change(1))
        for row in (2, 3, 4):
            await those.wait(change(row - 1), "BEGIN", change(row))
            await until_blocked(datastore, row - 1)
        await those.wait(change(4))
        for _ in range(10):
            await those.wait(change(1))
        seen = await until_blocked(datastore, 14)
        await asyncio.sleep(0.2)
        later = await poll(datastore, "blocking")
        names = await named(datastore)
        pid = root.get_server_pid()
    freed = await until_blocked(datastore, 0)

    assert blocking(quiet) == blocking(freed) == (0, 0, 0)
    assert roots(quiet) == roots(freed) == {}
    assert quiet.value("pg_blocked_max_seconds") == 0
    assert blocking(seen) == (14, 4, 14)
    assert roots(seen) == {"idle in transaction": 1}
    assert (later.value("pg_blocked_max_seconds") or 0) >= (seen.value("pg_blocked_max_seconds") or 0) + 0.2
    assert names == (f"pid {pid} in app (idle in transaction) blocks 14",)


async def test_a_prepared_transaction_holds_others_up(server: Postgres, datastore: PostgresDatastore) -> None:
    """No session does: there is no process that could be ended."""
    async with Clients(server) as those:
        await those.run("BEGIN", change(5), "PREPARE TRANSACTION 'left behind'")
        await those.wait(change(5))
        seen = await until_blocked(datastore, 1)
        names = await named(datastore)
        server.psql("ROLLBACK PREPARED 'left behind'", "app")
        freed = await until_blocked(datastore, 0)

    assert blocking(seen) == (1, 1, 1)
    assert roots(seen) == {"prepared transaction": 1}
    assert names == ("prepared transactions block 1",)
    assert roots(freed) == {}


@pytest.mark.parametrize(
    ("state", "statements"),
    [
        ("idle", []),
        ("idle in transaction", ["BEGIN"]),
        ("idle in transaction (aborted)", ["BEGIN", "SELECT 1 / 0"]),
    ],
)
async def test_the_state_of_who_holds_others_up(
    server: Postgres, datastore: PostgresDatastore, state: str, statements: Sequence[str]
) -> None:
    """A lock of the session outlives its transaction."""
    async with Clients(server) as those:
        await those.run("SELECT pg_advisory_lock(7)", *statements)
        await those.wait("SELECT pg_advisory_lock(7)")
        seen = await until_blocked(datastore, 1)
    await until_blocked(datastore, 0)

    assert roots(seen) == {state: 1}


async def test_a_busy_root_and_another_root_count_apart(server: Postgres, datastore: PostgresDatastore) -> None:
    async with Clients(server) as those:
        await those.wait("SELECT pg_sleep(600)", "SELECT pg_advisory_lock(8)")
        await those.run("BEGIN", "SELECT pg_advisory_lock(9)")
        await those.wait("SELECT pg_advisory_lock(8)")
        for _ in range(3):
            await those.wait("SELECT pg_advisory_lock(9)")
        seen = await until_blocked(datastore, 4)
        names = await named(datastore)
    await until_blocked(datastore, 0)

    assert blocking(seen) == (4, 1, 3)
    assert roots(seen) == {"active": 1, "idle in transaction": 1}
    assert [str(name).rpartition(" blocks ")[2] for name in names] == ["3", "1"]


async def test_a_long_queue_for_one_row_stays_cheap(server: Postgres, datastore: PostgresDatastore) -> None:
    """Each waits for all before it: paths from one to the next are 2^40, which must not be counted."""
    async with Clients(server) as those:
        await those.run("BEGIN", change(6))
        for _ in range(40):
            await those.wait(change(6))
        seen = await until_blocked(datastore, 40)
    await until_blocked(datastore, 0)

    assert blocking(seen) == (40, 2, 40)


async def test_a_long_wait_warns_and_names_who_is_in_the_way(server: Postgres, datastore: PostgresDatastore) -> None:
    at_once = {"blocked_seconds": Limit(warn=0.0, fail=None)}
    query = load_query(builtin_folder() / "postgres" / "blocking.yaml", "postgres", at_once)

    async def outcome() -> tuple[str, int]:
        rows = await fetch(datastore, query)
        [found] = query.outcomes(rows, query.samples(rows))
        return found.status, len(found.findings)

    async with Clients(server) as those:
        await those.run("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        await those.wait("SELECT count(*) FROM customers")
        seen = await until_blocked(datastore, 1)
        waiting = await outcome()
    await until_blocked(datastore, 0)

    assert seen.statuses == {"blocking": "pass"}
    assert waiting == ("warn", 1)
    assert await outcome() == ("pass", 0)


async def test_while_no_session_waits_no_lock_is_read(server: Postgres) -> None:
    """Reading the lock table stops all who want a lock meanwhile."""
    looks = ("pg_lock_status", "unnest blocker")
    async with client(server) as connection:
        for query in read_queries(["postgres"]):
            if query.name in ("blocking", "blocking_roots"):
                plan = await explained(connection, query)

                assert [line for line in plan if any(look in line for look in looks) and "never" not in line] == []
                assert any(looks[1] in line for line in plan)


async def explained(connection: Any, query: Query) -> list[str]:
    await connection.execute("SET jit = off")
    return [row[0] for row in await connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) {query.query}")]
