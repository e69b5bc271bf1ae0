"""What a server does not track is absent: its 0 is no measurement. Who we are is known by name and role."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.postgres_polls import client, eventually, opened, poll

QUERIES = {query.name: query for query in read_queries(["postgres"])}
OURS = {"application_name": "datatier-exporter"}
STATES = (
    "activity", "session_ages", "long_running_transactions", "wait_events", "idle_in_transaction", "blocking",
    "blocking_roots", "activity_sampler",
)  # fmt: skip
# Metric and labels that say 0 of a database without any activity.
NOTHING = [
    (
        "pg_stat_activity_count",
        {"state": "idle in transaction", "wait_event_type": "", "backend_type": "client backend"},
    ),
    ("pg_stat_activity_max_tx_duration", {"state": "active", "wait_event_type": "", "backend_type": "client backend"}),
    ("pg_idle_in_transaction_sessions", {"threshold": "0"}),
    ("pg_idle_sessions", {"threshold": "0"}),
    ("pg_open_transactions", {"threshold": "0"}),
    ("pg_idle_in_transaction_max_seconds", {}),
    ("pg_query_ran_longer_than_total", {"threshold": "1"}),
    ("pg_active_query_max_seconds", {"threshold": ""}),
]
SERVER_WIDE = [
    ("pg_long_running_transactions", {}),
    ("pg_long_running_transactions_oldest_timestamp_seconds", {}),
    ("pg_wait_events", {"type": "Lock", "event": ""}),
]
COUNTED = {
    "pg_stat_database_blks_hit", "pg_stat_database_tup_inserted", "pg_stat_database_deadlocks",
    "pg_stat_database_temp_bytes", "pg_stat_user_tables_n_tup_ins", "pg_stat_user_tables_n_dead_tup",
    "pg_stat_user_tables_last_autovacuum", "pg_stat_user_tables_other_seq_scan_total", "pg_largest_indexes_scans_total",
    "pg_statio_user_tables_heap_blocks_hit", "pg_stat_user_indexes_idx_scan_total", "pg_index_blocks_read_total",
    "pg_stat_database_conflicts_confl_lock", "pg_stat_database_shared_blks_hit_total",
}  # fmt: skip
TIMED = {
    "pg_stat_database_blk_read_time", "pg_stat_database_blk_write_time",
    "pg_stat_statements_block_read_seconds_total", "pg_stat_statements_block_write_seconds_total",
}  # fmt: skip
STAYS = {
    "pg_stat_database_xact_commit", "pg_stat_user_tables_table_size_bytes", "pg_largest_indexes_size_bytes",
    "pg_stat_database_sessions_total", "pg_stat_statements_calls_total", "pg_stat_wal_bytes_total",
}  # fmt: skip


@pytest.fixture(scope="module", params=["14", "18"])
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres(request.param) as server:
        server.psql("ALTER ROLE monitor CONNECTION LIMIT 20; CREATE DATABASE calm")
        yield server


def values_of(collected: Collected, datname: str) -> list[float | None]:
    return [collected.value(metric, datname=datname, **labels) for metric, labels in NOTHING]


async def test_sessions_that_hide_what_they_do_leave_no_zero(server: Postgres) -> None:
    """A superuser may switch track_activities off for one session or for all; here it is one, in a transaction."""
    hiding = {"track_activities": "off"}
    target = server.target("db", sample_activity=True)
    async with opened(target) as datastore, client(server, "app", server_settings=hiding) as hidden:
        await hidden.execute("BEGIN; LOCK TABLE customers")
        await datastore.ping()
        async with datastore.session("sampler") as sampler:
            await sampler.fetch(QUERIES["activity_sampler"])
        collected = await poll(datastore, *STATES)
        async with client(server, "app", server_settings=hiding) as waiter, client(server, "app") as seen:
            await seen.execute("BEGIN")
            waiting = asyncio.create_task(waiter.execute("SELECT count(*) FROM customers"))
            blocked = await eventually(datastore, "blocking", lambda now: now.value("pg_blocked_sessions"))
            busy = await poll(datastore, *STATES)
            await hidden.execute("COMMIT")
            await waiting

    assert values_of(collected, "app") == [None] * len(NOTHING)
    assert values_of(collected, "calm") == [0.0] * len(NOTHING)
    assert [collected.value(metric, **labels) for metric, labels in SERVER_WIDE] == [None] * 3
    assert blocked.value("pg_blocked_sessions") == 1
    assert busy.value("pg_idle_in_transaction_sessions", datname="app", threshold="0") == 1
    assert (busy.value("pg_idle_in_transaction_max_seconds", datname="app") or 0) > 0
    assert busy.value("pg_long_running_transactions") == 1


async def test_values_that_a_server_does_not_track_are_absent(server: Postgres) -> None:
    off = (
        "track_counts",
        "track_io_timing",
        "track_wal_io_timing",
        "track_activities",
        "pg_stat_statements.track_planning",
    )
    queries = (
        "stat_database", "stat_database_conflicts", "shared_objects", "user_tables", "statio_user_tables",
        "statio_user_indexes", "index_hit_ratio", "cache_hit_ratio", "largest_indexes", "statements", "wal",
        *(["stat_io"] if server.version == "18" else []),
    )  # fmt: skip
    for name in off:
        server.psql(f"ALTER SYSTEM SET {name} = on")
    server.psql("SELECT pg_reload_conf(); SELECT pg_sleep(0.2)")
    async with opened(server.target("db")) as datastore:
        await poll(datastore, *queries)
        on = await poll(datastore, *queries)
        for name in off:
            server.psql(f"ALTER SYSTEM SET {name} = off")
        server.psql("SELECT pg_reload_conf(); SELECT pg_sleep(0.2)")
        without = await poll(datastore, *queries)
        for name in off:
            server.psql(f"ALTER SYSTEM RESET {name}")
        server.psql("SELECT pg_reload_conf(); SELECT pg_sleep(0.2)")
        again = await poll(datastore, *queries)

    timed = {name for name in on.samples if re.fullmatch(r"pg_stat_io_.*_time_seconds_total", name)}
    absent = (
        COUNTED
        | TIMED
        | timed
        | {"pg_stat_statements_plan_seconds_total", "pg_stat_database_active_time_seconds_total"}
    )
    assert {name for name in absent | STAYS if not on.samples.get(name)} == set()
    assert {name for name in absent if without.samples.get(name)} == set()
    assert {name for name in STAYS if not without.samples.get(name)} == set()
    assert {name for name in COUNTED if not again.samples.get(name)} == set()
    assert without.info.capabilities["track_counts"] == "track_counts is off"


async def test_another_session_under_our_name_is_seen(server: Postgres) -> None:
    """Who takes our application's name, another exporter's role say, counts like anybody; we do not."""
    async with AsyncExitStack() as stack:
        datastore = await stack.enter_async_context(opened(server.target("db")))
        other, waiter = [
            await stack.enter_async_context(client(server, "calm", server_settings=OURS)) for _ in range(2)
        ]
        await other.execute("BEGIN; CREATE TABLE IF NOT EXISTS locked (); LOCK TABLE locked")
        await datastore.ping()  # a session of ours, idle
        await waiter.execute("SELECT 1")
        collected = await poll(datastore, *STATES[:-1], "process_idle")
        labels = {"wait_event_type": "Client", "backend_type": "client backend", "datname": "calm"}
        seen = [
            collected.value("pg_stat_activity_count", state="idle in transaction", **labels),
            collected.value("pg_idle_in_transaction_sessions", datname="calm", threshold="0"),
            collected.value("pg_long_running_transactions"),
            collected.value("pg_idle_sessions", datname="calm", threshold="0"),
        ]
        ours = collected.value("pg_idle_sessions", datname="postgres", threshold="0")
        longest = collected.value("pg_idle_in_transaction_max_seconds", datname="calm")

    assert seen == [1, 1, 1, 1]
    assert ours == 0
    assert (longest or 0) > 0


async def test_a_role_that_may_not_see_says_no_zero(server: Postgres) -> None:
    server.psql("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    url = server.url.replace("monitor@", "plain@")
    async with client(server, "app"):
        collected = await collect({**server.target("db"), "url": url, "password": "plain"}, only=STATES[:-1])
    server.psql("DROP ROLE plain")

    values = values_of(collected, "app")[:-2]
    assert values == [None] * len(values)
    assert [collected.value(metric, **labels) for metric, labels in SERVER_WIDE] == [None] * 3
