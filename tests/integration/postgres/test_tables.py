"""Statistics of tables and indexes: the heaviest by name, partitions as one, all others added up."""

from collections.abc import AsyncIterator, Iterator

import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import client, eventually, opened, poll

TABLES = ("user_tables", "statio_user_tables", "statio_user_indexes")
OTHERS = {"schemaname": "", "relname": ""}


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    """Give a server whose numbers only the test moves."""
    with servers.private_postgres("18", {"autovacuum": "off"}) as server:
        yield server


@pytest.fixture
async def datastore(server: Postgres) -> AsyncIterator[PostgresDatastore]:
    async with opened(server.target("db")) as datastore:
        yield datastore


def names(collected: Collected, metric: str, database: str) -> set[str]:
    series = collected.samples.get(metric, {})
    return {dict(labels)["relname"] for labels in series if ("datname", database) in labels}


def table(database: str, relname: str) -> dict[str, str]:
    return {"datname": database, "schemaname": "public", "relname": relname}


async def test_of_250_tables_200_have_series_and_the_rest_adds_up(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    """Table n has n rows: 1 to 50 are the others, until one is heavier than a member by more than a quarter."""
    server.psql("CREATE DATABASE many")
    for start in range(1, 251, 50):
        server.psql(
            f"DO $$ BEGIN FOR n IN {start}..{start + 49} LOOP "
            "EXECUTE format('CREATE TABLE %I AS SELECT g FROM generate_series(1, %s) g', "
            "'table_' || lpad(n::text, 3, '0'), n); END LOOP; END $$",
            "many",
        )
    others = {"datname": "many", **OTHERS}

    def rows_of_others(now: Collected) -> float | None:
        return now.value("pg_stat_user_tables_other_n_live_tup", **others)

    async with opened(server.target("db")) as fresh:  # so that no name was chosen before the rows were counted
        await eventually(datastore, "user_tables", lambda now: rows_of_others(now) == sum(range(1, 51)))
        before = await poll(fresh, "user_tables")
        server.psql("INSERT INTO table_007 SELECT generate_series(1, 48); UPDATE table_008 SET g = 0", "many")
        server.psql("DROP TABLE table_009; SELECT count(*) FROM table_010", "many")
        after = await eventually(
            fresh, "user_tables", lambda now: now.value("pg_stat_user_tables_other_seq_scan_total", **others) == 2
        )
        server.psql("INSERT INTO table_007 SELECT generate_series(1, 1000); INSERT INTO table_011 VALUES (1)", "many")
        entered = await eventually(
            fresh, "user_tables", lambda now: "table_007" in names(now, "pg_stat_user_tables_n_live_tup", "many")
        )

    assert names(before, "pg_stat_user_tables_n_live_tup", "many") == {f"table_{n:03}" for n in range(51, 251)}
    assert before.value("pg_stat_user_tables_others", **others) == 50
    assert before.value("pg_stat_user_tables_other_n_tup_ins_total", **others) == 0
    assert names(after, "pg_stat_user_tables_n_live_tup", "many") == names(
        before, "pg_stat_user_tables_n_live_tup", "many"
    )
    assert after.value("pg_stat_user_tables_others", **others) == 49
    assert after.value("pg_stat_user_tables_other_n_tup_ins_total", **others) == 48
    assert after.value("pg_stat_user_tables_other_n_tup_upd_total", **others) == 8
    assert rows_of_others(after) == sum(range(1, 51)) - 9 + 48
    assert entered.value("pg_stat_user_tables_n_tup_ins", **table("many", "table_007")) == 1055
    assert entered.value("pg_stat_user_tables_others", **others) == 49
    assert entered.value("pg_stat_user_tables_other_n_tup_ins_total", **others) in (48, 49)  # table_011's came or not
    assert len(names(entered, "pg_stat_user_tables_n_live_tup", "many")) == 200


async def test_a_partitioned_table_is_one_and_none_of_its_counters_falls(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    """A partition that is dropped takes its rows along, not what was ever inserted, read or scanned."""
    server.psql("CREATE DATABASE parts")
    server.psql(
        """
        CREATE TABLE logs (day int, note text) PARTITION BY RANGE (day);
        CREATE INDEX logs_day ON logs (day);
        CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (1) TO (2);
        CREATE TABLE logs_2 PARTITION OF logs FOR VALUES FROM (2) TO (3) PARTITION BY RANGE (day);
        CREATE TABLE logs_2_sub PARTITION OF logs_2 FOR VALUES FROM (2) TO (3);
        CREATE TABLE plain (day int);
        """,
        "parts",
    )
    logs = table("parts", "logs")

    def inserted(now: Collected) -> float | None:
        return now.value("pg_stat_user_tables_n_tup_ins", **logs)

    first = await poll(datastore, *TABLES)
    server.psql("INSERT INTO logs SELECT 1 + n % 2, n FROM generate_series(1, 1000) AS n", "parts")
    server.psql("VACUUM ANALYZE logs", "parts")
    server.psql("SET enable_seqscan = off; SELECT count(*) FROM logs WHERE day = 2", "parts")
    await eventually(datastore, "user_tables", lambda now: inserted(now) == 1000)
    full = await eventually(
        datastore, "user_tables", lambda now: (now.value("pg_stat_user_tables_idx_scan", **logs) or 0) > 0
    )
    full_io = await poll(datastore, "statio_user_tables", "statio_user_indexes")
    server.psql("DROP TABLE logs_1; INSERT INTO logs VALUES (2, 'more')", "parts")
    less = await eventually(datastore, "user_tables", lambda now: inserted(now) == 1001)
    less_io = await poll(datastore, "statio_user_tables", "statio_user_indexes")

    assert inserted(first) == 0
    for metric in ("pg_stat_user_tables_n_tup_ins", "pg_statio_user_tables_heap_blocks_hit"):
        assert names(first, metric, "parts") == {"logs", "plain"}
    assert full.value("pg_stat_user_tables_n_live_tup", **logs) == 1000
    assert less.value("pg_stat_user_tables_n_live_tup", **logs) == 501
    size = "pg_stat_user_tables_table_size_bytes"
    assert 0 < (less.value(size, **logs) or 0) < (full.value(size, **logs) or 0)
    [(vacuumed,)] = server.psql(
        "SELECT extract(epoch FROM last_vacuum) FROM pg_stat_user_tables WHERE relname = 'logs_2_sub'", "parts"
    )
    assert full.value("pg_stat_user_tables_last_vacuum", **logs) == pytest.approx(float(vacuumed))
    index = {**logs, "indexrelname": "logs_day"}
    assert names(full_io, "pg_stat_user_indexes_idx_scan_total", "parts") == {"logs"}
    assert full_io.value("pg_stat_user_indexes_idx_scan_total", **index) == 1
    for metric, labels in (
        ("pg_statio_user_tables_heap_blocks_hit", logs),
        ("pg_statio_user_indexes_idx_blks_hit_total", index),
        ("pg_stat_user_indexes_idx_scan_total", index),
    ):
        assert 0 < (full_io.value(metric, **labels) or 0) <= (less_io.value(metric, **labels) or 0)


async def test_a_table_that_becomes_a_partition_brings_no_burst(server: Postgres, datastore: PostgresDatastore) -> None:
    server.psql("CREATE DATABASE attach")
    server.psql(
        "CREATE TABLE whole (day int) PARTITION BY RANGE (day); CREATE TABLE part (day int); "
        "INSERT INTO part SELECT 1 FROM generate_series(1, 500)",
        "attach",
    )
    part, whole = table("attach", "part"), table("attach", "whole")
    await eventually(datastore, "user_tables", lambda now: now.value("pg_stat_user_tables_n_tup_ins", **part) == 500)
    server.psql(
        "ALTER TABLE whole ATTACH PARTITION part FOR VALUES FROM (1) TO (2); INSERT INTO whole VALUES (1)", "attach"
    )
    after = await eventually(
        datastore, "user_tables", lambda now: now.value("pg_stat_user_tables_n_live_tup", **whole) == 501
    )

    assert after.value("pg_stat_user_tables_n_tup_ins", **whole) == 1
    assert names(after, "pg_stat_user_tables_n_tup_ins", "attach") == {"whole"}


async def test_temporary_tables_have_no_series(server: Postgres, datastore: PostgresDatastore) -> None:
    async with client(server) as connection:
        await connection.execute("CREATE TEMP TABLE scratch (id int PRIMARY KEY); SELECT * FROM scratch")
        collected = await poll(datastore, *TABLES)

    for metric in (
        "pg_stat_user_tables_seq_scan",
        "pg_statio_user_tables_heap_blocks_hit",
        "pg_stat_user_indexes_idx_scan_total",
    ):
        assert "orders" in names(collected, metric, "app")
        assert "scratch" not in names(collected, metric, "app")


async def test_reset_statistics_are_a_restart_of_the_tables_own_and_none_of_the_sums(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    events, orders = table("app", "events"), table("app", "orders")

    def scans(now: Collected, labels: dict[str, str]) -> float:
        return now.value("pg_stat_user_tables_seq_scan", **labels) or 0

    await poll(datastore, "user_tables")
    server.psql("SELECT count(*) FROM events; SELECT count(*) FROM events; SELECT count(*) FROM orders", "app")
    before = await eventually(datastore, "user_tables", lambda now: scans(now, events) == 4 and scans(now, orders) > 0)
    server.psql("SELECT pg_stat_reset()", "app")
    reset = await eventually(datastore, "user_tables", lambda now: scans(now, orders) == 0)
    server.psql("SELECT count(*) FROM events", "app")
    after = await eventually(datastore, "user_tables", lambda now: scans(now, events) > scans(before, events))

    assert scans(reset, events) == 4
    assert scans(after, events) == 6


@pytest.mark.parametrize("version", ["14", "16"])
async def test_last_read_of_a_table_is_known_from_16_on(servers: Servers, version: str) -> None:
    seen, last = table("app", "seen"), "pg_stat_user_tables_last_seq_scan_timestamp_seconds"
    with servers.private_postgres(version, {"autovacuum": "off"}) as server:
        server.psql("CREATE TABLE seen (id int); CREATE TABLE unseen (id int)", "app")
        [(before,)] = server.psql("SELECT extract(epoch FROM clock_timestamp())")
        server.psql("SELECT count(*) FROM seen", "app")
        async with opened(server.target("db")) as datastore:
            collected = await eventually(
                datastore, "user_tables", lambda now: now.value("pg_stat_user_tables_seq_scan", **seen) == 1
            )

    assert collected.value("pg_stat_user_tables_seq_scan", **table("app", "unseen")) == 0
    assert collected.value(last, **table("app", "unseen")) is None
    if version == "14":
        assert collected.samples[last] == {}
    else:
        assert (collected.value(last, **seen) or 0) >= float(before)
