"""PostgreSQL on bad days: frozen, stopped, restarted, slow, asked for what it must not do."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import client, fetch, opened, poll, sql

OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'datatier-exporter'"
ONE = sql("SELECT 1 AS value")


@pytest.fixture
async def datastore(server: Postgres) -> AsyncIterator[PostgresDatastore]:
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        yield datastore


async def connections(server: Postgres, expected: int) -> int:
    """Count our connections as the server sees them, once those that end have ended."""
    count = -1
    for _ in range(100):
        [(count,)] = ((int(text),) for (text,) in server.psql(OURS))
        if count == expected:
            break
        await asyncio.sleep(0.1)
    return count


async def test_a_frozen_server_fails_within_the_deadline(server: Postgres, datastore: PostgresDatastore) -> None:
    """Ping, fetch and a fresh login each end, leave no task behind, and work again after the thaw."""
    tasks = asyncio.all_tasks()
    async with datastore.session("fast") as session:
        server.freeze()
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await session.fetch(ONE)
            for lane_is_new in (False, True):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await (fetch(datastore, ONE, "app") if lane_is_new else datastore.ping())
            await asyncio.sleep(0.1)
            left = asyncio.all_tasks() - tasks
        finally:
            server.thaw()
    info = await datastore.ping()

    assert left == set()
    assert info.role == "primary"
    assert await fetch(datastore, ONE) == [{"value": 1}]
    assert await connections(server, 1) == 1


async def test_leaving_a_frozen_server_does_not_wait_for_it(server: Postgres) -> None:
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        server.freeze()
        try:
            async with asyncio.timeout(5):
                await datastore.__aexit__()
        finally:
            server.thaw()

    assert await connections(server, 0) == 0


async def test_the_server_ends_a_slow_statement_and_the_connection_lives(datastore: PostgresDatastore) -> None:
    slow = sql("SELECT 1 AS value FROM pg_sleep(30)", timeout="500ms")
    async with datastore.session("fast") as session:
        before = await session.fetch(sql("SELECT pg_backend_pid() AS value"))
        with pytest.raises(asyncpg.QueryCanceledError) as caught:
            await session.fetch(slow)
        after = await session.fetch(sql("SELECT pg_backend_pid() AS value"))
        limit = await session.fetch(
            sql("SELECT setting::int AS value FROM pg_settings WHERE name = 'statement_timeout'")
        )

    assert datastore.reason(caught.value) == "timeout"
    assert after == before
    assert [dict(row) for row in limit] == [{"value": 4500}]


async def test_a_locked_table_costs_a_quarter_second_not_the_lane(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    async with client(server) as holder:
        await holder.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError) as caught:
            await fetch(datastore, sql("SELECT count(*) AS value FROM public.customers"), "app")

    assert datastore.reason(caught.value) == "timeout"


async def test_a_stopped_server_is_a_connect_error_and_a_started_one_is_fine(
    servers: Servers,
) -> None:
    with servers.private_postgres("17") as server:
        async with opened(server.target("db")) as datastore:
            first = await datastore.ping()
            await poll(datastore, "statements")
            server.stop()
            with pytest.raises((OSError, asyncpg.PostgresConnectionError)) as caught:
                await datastore.ping()
            server.start()
            second = await datastore.ping()
            after = await poll(datastore, "statements")

    assert datastore.reason(caught.value) == "connect"
    assert first.started_at is not None
    assert second.started_at is not None
    assert second.started_at > first.started_at
    assert after.value("pg_statements_calls_total", user="", datname="app", queryid="") == 0


async def test_a_restart_between_two_polls_is_not_noticed(servers: Servers) -> None:
    with servers.private_postgres("17") as server:
        async with opened(server.target("db")) as datastore:
            await datastore.ping()
            server.restart()
            await asyncio.sleep(0.1)  # for the client to read that the connection has ended

            assert (await datastore.ping()).role == "primary"


async def test_two_connections_do_for_everything(server: Postgres, datastore: PostgresDatastore) -> None:
    databases = [
        query
        for query in read_queries(["postgres"])
        if query.scope == "database" and not query.when.extension and query.name != "indexes_unused"
    ]
    async with datastore.session("fast"), datastore.session("slow") as slow:
        for database in await datastore.databases():
            for query in databases:
                await slow.fetch(query, database)
        during = await connections(server, 2)

    assert during == 2
    assert await connections(server, 1) == 1


async def test_sessions_are_read_only_named_and_closed_in(datastore: PostgresDatastore) -> None:
    settings = sql(
        "SELECT name, setting FROM pg_settings WHERE name IN ('application_name', 'lock_timeout', 'jit', "
        "'idle_in_transaction_session_timeout', 'default_transaction_read_only', 'TimeZone')"
    )
    rows = await fetch(datastore, settings)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await fetch(datastore, sql("CREATE TABLE public.intruder AS SELECT 1 AS value"))
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await fetch(datastore, sql("SELECT 1 AS value; SELECT 2 AS value"))

    assert {row["name"]: row["setting"] for row in rows} == {
        "application_name": "datatier-exporter",
        "default_transaction_read_only": "on",
        "idle_in_transaction_session_timeout": "10000",
        "jit": "off",
        "lock_timeout": "250",
        "TimeZone": "UTC",
    }


async def test_json_arrives_as_objects_for_histograms(datastore: PostgresDatastore) -> None:
    metric = {"name": "test_seconds", "type": "histogram", "help": "Buckets.", "value": "buckets", "sum": "total"}
    query = sql("""SELECT '{"0.1": 2, "1": 5}'::jsonb AS buckets, 1.5::float8 AS total""", metrics=(metric,))
    rows = await fetch(datastore, query)
    [family] = query.samples(rows)

    assert rows == [{"buckets": {"0.1": 2, "1": 5}, "total": 1.5}]
    assert family.values == [(((0.1, 2.0), (1.0, 5.0), (float("inf"), 5.0)), 1.5)]
