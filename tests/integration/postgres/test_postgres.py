"""PostgreSQL's queries on every version: each gives its series, and the values are those of known changes."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import client, eventually, opened, poll

VERSIONS = ("14", "15", "16", "17", "18")
pytestmark = pytest.mark.servers(*(f"{kind}:{version}" for kind in ("postgres", "replica") for version in VERSIONS))

SINCE = {"recovery_prefetch": 15, "subscription_stats": 15, "stat_io": 16, "replication_slot_invalidation": 17}
ONLY_WITH_A_GRANT = {"conf_load_error"}
ONLY_WITH_AN_EXTENSION = {"buffercache_summary", "index_bloat", "table_bloat", "vector_columns", "vector_indexes"}
ONLY_WHILE_IT_RUNS = {"process_idle", "progress", "progress_vacuum", "progress_vacuum_phase"}
ONLY_ON_A_REPLICA = {"recovery_prefetch", "wal_receiver"}
NOTHING_WITHOUT_LOGICAL_REPLICATION = {"replication_slot_stats", "subscription_stats", "subscriptions"}
NOTHING_TO_SEE_IN_THE_SHOP = {"materialized_views", "sequences"}  # the role may not read its sequences
NOTHING_ON_A_REPLICA = {
    "archiver_unarchived",
    "replication_slot_details", "replication_slot_invalidation", "replication_slot_wal_status", "replication_slots",
    "stat_replication", "sync_state",
}  # fmt: skip
CHECKS = (
    "archiver", "blocking", "connections", "databases", "idleInTransaction", "login", "replicationLag",
    "replicationLagBytes", "slots", "syncStandbys", "wraparound",
)  # fmt: skip


@pytest.fixture(scope="module")
def quiet(servers: Servers) -> Iterator[Postgres]:
    """Give a server whose numbers only the test moves: nothing vacuums or analyzes by itself."""
    with servers.private_postgres("18", {"autovacuum": "off"}) as server:
        yield server


@pytest.fixture
async def datastore(quiet: Postgres) -> AsyncIterator[PostgresDatastore]:
    async with opened(quiet.target("quiet")) as datastore:
        yield datastore


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("role", ["primary", "replica"])
async def test_every_query_answers(servers: Servers, version: str, role: str) -> None:
    replica = servers.replica(version)
    server = servers.postgres(version) if role == "primary" else replica
    async with opened(server.target("db")) as datastore:
        if role == "primary":
            await eventually(datastore, "stat_replication", lambda now: now.series["stat_replication"])
        await poll(datastore)
        collected = await poll(datastore)
        server.psql("SELECT count(*) FROM orders", "app")
        await eventually(datastore, "cache_hit_ratio", lambda now: now.series["cache_hit_ratio"])

    queries = {query.name for query in read_queries(["postgres"]) if not query.when.configured}
    empty = {name for name, series in collected.series.items() if series == 0}
    assert collected.info.version.startswith(version)
    assert collected.info.role == role
    assert collected.info.missing_privileges == {}
    available = {name for name, reason in collected.info.capabilities.items() if not reason}
    assert available == {"pg_stat_statements", "track_activities", "track_counts", "track_io_timing"}
    too_new = {name for name, since in SINCE.items() if int(version) < since}
    nothing = NOTHING_TO_SEE_IN_THE_SHOP | NOTHING_WITHOUT_LOGICAL_REPLICATION
    nothing |= NOTHING_ON_A_REPLICA if role == "replica" else set()
    not_there = too_new | ONLY_WITH_A_GRANT | ONLY_WITH_AN_EXTENSION
    not_there |= ONLY_ON_A_REPLICA if role == "primary" else set()
    assert set(collected.unsupported) - {"indexes_unused"} == not_there  # that depends on the age of the prepared data
    assert collected.series.keys() | collected.unsupported.keys() == queries
    assert empty - ONLY_WHILE_IT_RUNS - {"cache_hit_ratio"} == nothing - too_new
    assert collected.statuses == dict.fromkeys(CHECKS, "pass")


async def test_committed_work_moves_the_counters_by_what_was_done(
    quiet: Postgres, datastore: PostgresDatastore
) -> None:
    [(datid,)] = quiet.psql("SELECT oid FROM pg_database WHERE datname = 'app'")
    labels = {"datid": datid, "datname": "app"}
    before = await poll(datastore, "stat_database")
    async with client(quiet) as connection:
        for number in range(5):
            await connection.execute(
                "INSERT INTO products (sku, title, price) "
                f"SELECT 'moves {number}-' || n, 'moves', 1 FROM generate_series(1, 3) AS n"
            )
        await connection.execute("UPDATE products SET price = 2 WHERE sku LIKE 'moves %'")
        await connection.execute("DELETE FROM products WHERE sku LIKE 'moves 0%'")
        await connection.execute("BEGIN; SELECT 1; ROLLBACK")

    def moved(name: str) -> float:
        return (after.value(name, **labels) or 0) - (before.value(name, **labels) or 0)

    rolled_back = before.value("pg_stat_database_xact_rollback", **labels) or 0
    after = await eventually(
        datastore,
        "stat_database",
        lambda now: (now.value("pg_stat_database_xact_rollback", **labels) or 0) > rolled_back,
    )
    assert moved("pg_stat_database_tup_inserted") == 15
    assert moved("pg_stat_database_tup_updated") == 15
    assert moved("pg_stat_database_tup_deleted") == 3
    assert moved("pg_stat_database_xact_rollback") == 1
    assert moved("pg_stat_database_xact_commit") >= 7
    assert moved("pg_stat_database_sessions_total") >= 1


async def test_a_table_counts_what_was_done_to_it(quiet: Postgres, datastore: PostgresDatastore) -> None:
    where = {"datname": "app", "schemaname": "public", "relname": "ledger"}
    quiet.psql("CREATE TABLE ledger (id int PRIMARY KEY, note text)", "app")
    quiet.psql("INSERT INTO ledger SELECT n, repeat('x', 500) FROM generate_series(1, 1000) AS n", "app")
    quiet.psql("DELETE FROM ledger WHERE id <= 100; SELECT count(*) FROM ledger", "app")
    await eventually(datastore, "user_tables", lambda now: now.value("pg_stat_user_tables_n_tup_del", **where) == 100)
    quiet.psql("VACUUM ANALYZE ledger", "app")
    after = await eventually(
        datastore, "user_tables", lambda now: now.value("pg_stat_user_tables_vacuum_count", **where) == 1
    )
    [(table, index, vacuumed)] = quiet.psql(
        "SELECT pg_table_size('ledger'), pg_indexes_size('ledger'), extract(epoch FROM last_vacuum) "
        "FROM pg_stat_user_tables WHERE relname = 'ledger'",
        "app",
    )

    assert after.value("pg_stat_user_tables_n_tup_ins", **where) == 1000
    assert after.value("pg_stat_user_tables_n_live_tup", **where) == 900
    assert after.value("pg_stat_user_tables_n_dead_tup", **where) == 0
    assert after.value("pg_stat_user_tables_seq_scan", **where) == 2
    assert after.value("pg_stat_user_tables_last_vacuum", **where) == pytest.approx(float(vacuumed))
    assert after.value("pg_stat_user_tables_last_autovacuum", **where) == 0
    # Pages that vacuum counted, without the maps beside them: a little less than the files.
    assert after.value("pg_stat_user_tables_table_size_bytes", **where) == pytest.approx(int(table), rel=0.1)
    assert after.value("pg_stat_user_tables_index_size_bytes", **where) == int(index)


async def test_a_sleeping_transaction_shows(quiet: Postgres, datastore: PostgresDatastore) -> None:
    labels = {"datname": "app", "backend_type": "client backend"}
    idle = labels | {"state": "idle in transaction", "wait_event_type": "Client"}
    queries = ("activity", "idle_in_transaction", "long_running_transactions")
    async with client(quiet) as connection:
        before = await poll(datastore, *queries)
        await connection.execute("BEGIN; SELECT 1")
        first = await poll(datastore, *queries)
        await asyncio.sleep(0.2)
        second = await poll(datastore, *queries)
        await connection.execute("COMMIT")
        after = await poll(datastore, *queries)

    assert before.value("pg_long_running_transactions") == 0
    assert before.value("pg_idle_in_transaction_max_seconds", datname="app") == 0
    assert first.value("pg_stat_activity_count", **idle) == 1
    assert first.value("pg_long_running_transactions") == 1
    for name, where in (
        ("pg_stat_activity_max_tx_duration", idle),
        ("pg_long_running_transactions_oldest_timestamp_seconds", {}),
        ("pg_idle_in_transaction_max_seconds", {"datname": "app"}),
    ):
        assert (second.value(name, **where) or 0) >= (first.value(name, **where) or 0) + 0.2
    assert after.value("pg_stat_activity_count", **idle) is None
    assert after.value("pg_stat_activity_count", **idle | {"wait_event_type": ""}) == 0
    assert after.value("pg_long_running_transactions") == 0
    assert second.value("pg_idle_in_transaction_max_seconds", datname="postgres") == 0


async def test_a_held_lock_and_its_waiter_show_and_stop_no_query(quiet: Postgres, datastore: PostgresDatastore) -> None:
    async with client(quiet) as holder, client(quiet) as waiter:
        await holder.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        waiting = asyncio.create_task(waiter.execute("SELECT count(*) FROM customers"))
        locked = await eventually(
            datastore,
            "locks",
            lambda now: now.value("pg_locks_waiting", datname="app", mode="accesssharelock") == 1,
        )
        everything = await poll(datastore)
        await holder.execute("COMMIT")
        await waiting
        freed = await poll(datastore, "locks")

    assert locked.value("pg_locks_count", datname="app", mode="accessexclusivelock") == 1
    assert locked.value("pg_locks_waiting", datname="app", mode="accessexclusivelock") == 0
    assert locked.value("pg_locks_waiting", datname="postgres", mode="accesssharelock") == 0
    where = {"datname": "app", "state": "active", "wait_event_type": "Lock", "backend_type": "client backend"}
    assert (everything.value("pg_stat_activity_max_tx_duration", **where) or 0) > 0
    assert everything.series["user_tables"] > 0
    assert freed.value("pg_locks_count", datname="app", mode="accessexclusivelock") == 0


async def test_a_database_grows(quiet: Postgres, datastore: PostgresDatastore) -> None:
    before = await poll(datastore, "database_size")
    quiet.psql("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 2000); CHECKPOINT", "app")
    after = await poll(datastore, "database_size")

    [(size,)] = quiet.psql("SELECT pg_database_size('app')")
    grown = (after.value("pg_database_size_bytes", datname="app") or 0) - (
        before.value("pg_database_size_bytes", datname="app") or 0
    )
    assert after.value("pg_database_size_bytes", datname="app") == float(size)
    assert grown >= 2_000_000


async def test_cache_hit_ratio_agrees_with_psql(quiet: Postgres, datastore: PostgresDatastore) -> None:
    """The ratio is of the blocks between two polls, which psql's two readings give by hand."""
    reading = "SELECT blks_hit, blks_read FROM pg_stat_database WHERE datname = 'app'"
    quiet.psql("CREATE TABLE IF NOT EXISTS wide AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 8000)", "app")

    def read() -> tuple[int, int]:
        [(hit, miss)] = quiet.psql(reading)
        return int(hit), int(miss)

    await poll(datastore, "cache_hit_ratio")  # whatever came before
    first = read()
    start = await poll(datastore, "cache_hit_ratio")
    quiet.psql("SELECT count(*) FROM wide; SELECT count(*) FROM wide; SELECT count(*) FROM orders", "app")
    end = await eventually(
        datastore, "cache_hit_ratio", lambda now: now.value("pg_cache_hit_ratio", datname="app") is not None
    )
    last = read()

    hits, misses = last[0] - first[0], last[1] - first[1]
    assert start.value("pg_cache_hit_ratio", datname="app") is None
    assert misses > 0
    assert end.value("pg_cache_hit_ratio", datname="app") == pytest.approx(hits / (hits + misses))


async def test_index_hit_ratio_agrees_with_psql(quiet: Postgres, datastore: PostgresDatastore) -> None:
    reading = "SELECT sum(idx_blks_hit), sum(idx_blks_read) FROM pg_statio_user_indexes"
    await poll(datastore, "index_hit_ratio")
    [first] = quiet.psql(reading, "app")
    await poll(datastore, "index_hit_ratio")
    quiet.psql("SET enable_seqscan = off; SELECT count(*) FROM orders WHERE customer_id < 100", "app")
    end = await eventually(
        datastore, "index_hit_ratio", lambda now: now.value("pg_index_hit_ratio", datname="app") is not None
    )
    [last] = quiet.psql(reading, "app")

    hits, misses = (int(b) - int(a) for a, b in zip(first, last, strict=True))
    assert end.value("pg_index_hit_ratio", datname="app") == pytest.approx(hits / (hits + misses))
    assert end.value("pg_index_blocks_hit_total", datname="app") == hits
    assert end.value("pg_index_blocks_read_total", datname="app") == misses


async def test_connections_agree_with_psql(quiet: Postgres, datastore: PostgresDatastore) -> None:
    async with client(quiet) as one, client(quiet, "postgres"):
        collected = await poll(datastore, "connections")
        counted = await one.fetchval("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")

    assert counted == 3
    assert collected.value("pg_connections_used") == counted
    assert collected.value("pg_settings_max_connections") == 50
    assert collected.value("pg_connections_used_ratio") == counted / (50 - 3)
    assert collected.value("datatier_saturation_ratio", resource="connections") == counted / (50 - 3)


async def test_many_connections_warn_and_then_fail(servers: Servers) -> None:
    with servers.private_postgres("18", {"max_connections": "10"}) as server:
        async with opened(server.target("small")) as datastore:
            clients = [client(server) for _ in range(6)]
            for one in clients[:5]:
                await one.__aenter__()
            warned = await poll(datastore, "connections")
            await clients[5].__aenter__()
            failed = await poll(datastore, "connections")
            for one in clients:
                await one.__aexit__(None, None, None)

    assert warned.statuses == {"connections": "warn"}
    assert failed.statuses == {"connections": "fail"}
