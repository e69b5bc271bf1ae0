"""What sessions do: wait, idle, leak, fill their role's limit; what keeps dead rows from being removed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.queries.histogram import HistogramValue
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import client, eventually, fetch, opened, poll

THRESHOLDS = ("0", "60", "300", "3600", "86400")
BOUNDS = (1, 2, 5, 15, 30, 60, 90, 120, 300, float("inf"))


@pytest.fixture(scope="module", params=["14", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """Give a server on which nothing moves by itself."""
    settings = {
        "autovacuum": "off",
        "client_connection_check_interval": "100ms",
        "max_prepared_transactions": "5",
        "wal_level": "logical",
        "wal_receiver_status_interval": "1s",
    }
    with servers.private_postgres(request.param, settings) as server:
        yield server


@pytest.fixture
async def datastore(server: Postgres) -> AsyncIterator[PostgresDatastore]:
    async with opened(server.target("db")) as datastore:
        await eventually(datastore, "connections", lambda now: now.value("pg_connections_used") == 1)
        yield datastore


def by_threshold(collected: Collected, metric: str, datname: str = "app") -> list[float | None]:
    return [collected.value(metric, datname=datname, threshold=threshold) for threshold in THRESHOLDS]


def idle(collected: Collected, state: str, application: str) -> HistogramValue | None:
    series = collected.samples.get("pg_process_idle_seconds", {})
    value = series.get((("application_name", application), ("state", state)))
    assert value is None or isinstance(value, HistogramValue)
    return value


def spend_transaction_ids(server: Postgres, count: int) -> None:
    server.psql(";".join(["SELECT pg_current_xact_id()"] * count))


async def test_leaked_sessions_count_by_how_long_they_idle(server: Postgres, datastore: PostgresDatastore) -> None:
    async with AsyncExitStack() as stack:
        for statement in ("SELECT 1", "SELECT 2", "SELECT 3", "BEGIN; SELECT 1", "BEGIN; SELECT 1"):
            connection = await stack.enter_async_context(client(server))
            await connection.execute(statement)
        busy = await stack.enter_async_context(client(server))
        sleeping = asyncio.create_task(busy.execute("SELECT pg_sleep(600)"))
        seen = await eventually(
            datastore,
            "session_ages",
            lambda now: now.value("pg_open_transactions", datname="app", threshold="0") == 3,
        )
        sleeping.cancel()
    after = await eventually(
        datastore, "session_ages", lambda now: not any(now.samples["pg_open_transactions"].values())
    )

    assert by_threshold(seen, "pg_idle_sessions") == [3, 0, 0, 0, 0]
    assert by_threshold(seen, "pg_idle_in_transaction_sessions") == [2, 0, 0, 0, 0]
    assert by_threshold(seen, "pg_open_transactions") == [3, 0, 0, 0, 0]
    assert by_threshold(seen, "pg_idle_sessions", "postgres") == [0, 0, 0, 0, 0]
    assert by_threshold(after, "pg_idle_sessions") == [0, 0, 0, 0, 0]


async def test_idle_times_are_a_histogram_by_application(server: Postgres, datastore: PostgresDatastore) -> None:
    """The 20 applications with the most sessions have their names, the others one together."""
    async with AsyncExitStack() as stack:
        for name in ["pool"] * 3 + [f"worker {number:02}" for number in range(21)]:
            settings = {"application_name": name}
            connection = await stack.enter_async_context(client(server, server_settings=settings))
        await connection.execute("BEGIN")
        await asyncio.sleep(1.2)
        seen = await poll(datastore, "process_idle")

    pool, last = idle(seen, "idle", "pool"), idle(seen, "idle", "worker 18")
    in_transaction = idle(seen, "idle in transaction", "other")
    others = idle(seen, "idle", "other")
    assert pool is not None
    assert last is not None
    assert others is not None
    assert in_transaction is not None
    assert tuple(bound for bound, _ in pool.buckets) == BOUNDS
    assert dict(pool.buckets)[1] == 0
    assert dict(pool.buckets)[float("inf")] == 3
    assert (pool.sum or 0) >= 3 * 1.2
    assert dict(last.buckets)[float("inf")] == 1
    assert dict(others.buckets)[float("inf")] == 1
    assert dict(in_transaction.buckets)[float("inf")] == 1
    assert idle(seen, "idle", "worker 19") is None


async def test_waits_of_active_sessions_are_counted(server: Postgres, datastore: PostgresDatastore) -> None:
    """Idle sessions wait for their client, and are not among them."""
    async with AsyncExitStack() as stack:
        sleeper, holder, waiter, busy = [await stack.enter_async_context(client(server)) for _ in range(4)]
        await holder.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        count_for_ever = "DO $$ BEGIN LOOP END LOOP; END $$"
        running = [
            asyncio.create_task(one.execute(statement))
            for one, statement in (
                (sleeper, "SELECT pg_sleep(600)"),
                (waiter, "SELECT count(*) FROM customers"),
                (busy, count_for_ever),
            )
        ]
        seen = await eventually(
            datastore,
            "wait_events",
            lambda now: (
                now.value("pg_wait_events", type="Lock", event="relation") == 1
                and now.value("pg_wait_events", type="Timeout", event="PgSleep") == 1
                and now.value("pg_wait_events", type="Running", event="") == 1
            ),
        )
        for task in running:
            task.cancel()
    quiet = await eventually(datastore, "wait_events", lambda now: not any(now.samples["pg_wait_events"].values()))

    total = sum(value for value in seen.samples["pg_wait_events"].values() if isinstance(value, float))
    assert total == 3
    assert seen.value("pg_wait_events", type="IO", event="") == 0
    assert quiet.value("pg_wait_events", type="Lock", event="") == 0
    assert quiet.value("pg_wait_events", type="Lock", event="relation") is None


async def test_backends_by_type_beside_their_limits(server: Postgres, datastore: PostgresDatastore) -> None:
    async with client(server) as connection:
        seen = await poll(datastore, "backend_types")
        counted = await connection.fetch("SELECT backend_type, count(*) FROM pg_stat_activity GROUP BY 1")
        [workers] = await connection.fetchrow("SELECT current_setting('autovacuum_max_workers')::float8")

    backends = {dict(labels)["backend_type"]: value for labels, value in seen.samples["pg_backends"].items()}
    assert {name: value for name, value in backends.items() if value} == dict(counted)
    assert backends["client backend"] == 2
    assert backends["autovacuum worker"] == 0
    assert seen.value("pg_backends_limit", backend_type="autovacuum worker") == workers
    assert seen.value("pg_backends_limit", backend_type="client backend") == 50
    assert seen.value("pg_backends_limit", backend_type="checkpointer") is None


async def test_connections_of_a_role_beside_its_limit(server: Postgres, datastore: PostgresDatastore) -> None:
    server.psql("CREATE ROLE shop LOGIN PASSWORD 'shop' CONNECTION LIMIT 4")
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(client(server, user="shop", password="shop"))
        seen = await poll(datastore, "role_connections", "roles")
    server.psql("DROP ROLE shop")

    assert seen.value("pg_role_connections", rolname="shop") == 3
    assert seen.value("pg_role_connections_used_ratio", rolname="shop") == 0.75
    assert seen.value("pg_roles_connection_limit", rolname="shop") == 4
    assert seen.value("pg_role_connections", rolname="postgres") == 0
    assert seen.value("pg_role_connections_used_ratio", rolname="postgres") is None


async def test_a_prepared_transaction_is_dated(server: Postgres, datastore: PostgresDatastore) -> None:
    names = ("prepared_xacts", "oldest_xmin")
    before = await poll(datastore, *names)
    server.psql(
        "BEGIN; INSERT INTO customers (email, name) VALUES ('prepared', 'x'); PREPARE TRANSACTION 'left'", "app"
    )
    [(prepared,)] = server.psql("SELECT extract(epoch FROM prepared) FROM pg_prepared_xacts")
    spend_transaction_ids(server, 30)
    during = await poll(datastore, *names)
    named = await findings(datastore, "prepared_xacts"), await findings(datastore, "oldest_xmin")
    server.psql("ROLLBACK PREPARED 'left'", "app")
    after = await poll(datastore, *names)

    assert [now.value("pg_prepared_xacts", datname="app") for now in (before, during, after)] == [0, 1, 0]
    assert during.value("pg_prepared_xacts", datname="postgres") == 0
    assert during.value("pg_prepared_xacts_oldest_timestamp_seconds", datname="app") == float(prepared)
    assert after.value("pg_prepared_xacts_oldest_timestamp_seconds", datname="app") is None
    assert [held(now, "prepared") for now in (before, during, after)] == [0, 31, 0]
    assert named == (("left of postgres in app",), ("prepared transaction left of postgres in app",))


def held(collected: Collected, holder: str) -> float:
    value = collected.value("pg_oldest_xmin_age", holder=holder)
    assert value is not None
    return value


async def findings(datastore: PostgresDatastore, name: str) -> tuple[str, ...]:
    [query] = [query for query in read_queries(["postgres"]) if query.name == name]
    return query.findings_in(await fetch(datastore, query))


@pytest.mark.parametrize(
    "begin", ["BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1", "BEGIN; SELECT pg_current_xact_id()"]
)
async def test_a_session_keeps_dead_rows_by_its_snapshot_or_its_id(
    server: Postgres, datastore: PostgresDatastore, begin: str
) -> None:
    async with client(server) as connection:
        await connection.execute(begin)
        spend_transaction_ids(server, 40)
        seen = await poll(datastore, "oldest_xmin")
        named = await findings(datastore, "oldest_xmin")
        pid = connection.get_server_pid()
        await connection.execute("COMMIT")
        after = await poll(datastore, "oldest_xmin")

    assert held(seen, "session") >= 40
    assert {holder: held(seen, holder) for holder in ("standby", "slot", "catalog_slot", "prepared")} == {
        "standby": 0, "slot": 0, "catalog_slot": 0, "prepared": 0,
    }  # fmt: skip
    assert named == (f"pid {pid} of postgres in app (idle in transaction)",)
    assert held(after, "session") == 0


async def test_a_slot_without_a_reader_keeps_dead_rows_of_catalogs(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    server.psql("SELECT pg_create_logical_replication_slot('forgotten', 'pgoutput')", "app")
    spend_transaction_ids(server, 40)
    seen = await poll(datastore, "oldest_xmin")
    named = await findings(datastore, "oldest_xmin")
    server.psql("SELECT pg_drop_replication_slot('forgotten')", "app")
    after = await poll(datastore, "oldest_xmin")

    assert held(seen, "catalog_slot") >= 40
    assert held(seen, "slot") == 0
    assert named == ("slot forgotten (catalogs)",)
    assert held(after, "catalog_slot") == 0


async def test_a_replica_keeps_dead_rows_through_its_slot_or_without(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    with server.replica({"hot_standby_feedback": "on"}) as replica:
        async with client(replica) as reader:
            await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM customers")
            spend_transaction_ids(server, 40)
            by_slot = await eventually(datastore, "oldest_xmin", lambda now: held(now, "slot") >= 40)
            replica.psql("ALTER SYSTEM SET primary_slot_name = ''")
            replica.psql("SELECT pg_reload_conf()")
            without = await eventually(datastore, "oldest_xmin", lambda now: held(now, "standby") >= 40)
            named = await findings(datastore, "oldest_xmin")
        released = await eventually(datastore, "oldest_xmin", lambda now: held(now, "standby") < 40)
    server.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")

    assert held(by_slot, "standby") == 0
    assert held(without, "slot") >= 40
    assert "standby walreceiver" in named
    assert held(released, "slot") >= 40
