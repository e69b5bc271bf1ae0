"""Vacuums and what else runs long, seen while it runs; the age of ids; what is in shared buffers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.postgres_programs import fetch
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import client, eventually, opened, poll, sql
from tests.support.postgres_polls import fetch as fetch_rows
from tests.support.postgres_scratch import scratch

VACUUM = "pg_stat_progress_vacuum"
SLOWLY = {"vacuum_cost_delay": "100", "vacuum_cost_limit": "1"}  # some 3 pages a second
SLOW = """
CREATE TABLE slow AS SELECT n AS id, repeat('x', 500) AS note FROM generate_series(1, 20000) AS n;
CREATE FUNCTION nap(id int) RETURNS int LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN PERFORM pg_sleep(coalesce(current_setting('nap.seconds', true), '0.005')::float8); RETURN id; END $$;
CREATE INDEX ON slow (id);
DELETE FROM slow WHERE id % 2 = 0;
"""


def slow_server(servers: Servers, version: str) -> Postgres:
    server = servers.private_postgres(version, {"autovacuum": "off"})
    server.psql(SLOW, "app")
    return server


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    with slow_server(servers, "18") as server:
        yield server


@pytest.fixture
async def datastore(server: Postgres) -> AsyncIterator[PostgresDatastore]:
    async with opened(server.target("db")) as datastore:
        yield datastore


@asynccontextmanager
async def running(server: Postgres, statement: str, **settings: str) -> AsyncIterator[None]:
    """Run a statement in the background and end it, however far it is."""
    async with client(server, server_settings=settings) as connection:
        pid = connection.get_server_pid()
        work = asyncio.create_task(connection.execute(statement))
        try:
            yield
            assert not work.done(), f"{statement} ended too early"
        finally:
            server.psql(f"SELECT pg_terminate_backend({pid}, 10000)")
            await asyncio.wait([work])
            work.exception()


# Statistics that are made up: a vacuum of each relation, and of one that is gone.
VACUUMS = """
WITH pg_stat_progress_vacuum AS (
    SELECT oid AS relid, current_database() AS datname, 1 AS pid, 'scanning heap' AS phase, 1 AS heap_blks_total
    FROM (SELECT oid FROM pg_class WHERE relkind IN ('r', 't') UNION ALL SELECT 9999999) AS c (oid)
)
"""
ODD = """
CREATE TABLE public.pg_class (id int);
CREATE TABLE "Odd name" (id int);
CREATE SCHEMA "public.x";
CREATE TABLE "public.x"."t.u" (id int);
CREATE SCHEMA shop;
CREATE TABLE shop.slow (id int);
"""


@pytest.mark.parametrize("version", ["14", "18"])
async def test_relations_are_named_as_the_default_search_path_does(servers: Servers, version: str) -> None:
    """That is how PostgreSQL's own tools show them, and what `oid::regclass` gives to everybody but us."""
    async with scratch(servers.postgres(version), ODD) as database:
        named = "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 't') UNION ALL SELECT '9999999'"
        expected = {name for (name,) in database.server.psql(named, database.name, "monitor")}
        [phases] = [query for query in read_queries(["postgres"]) if query.name == "progress_vacuum_phase"]
        text = f"{VACUUMS} {phases.text(version)}".replace("LIMIT 350", "")
        await database.datastore.ping()
        rows = await fetch_rows(database.datastore, sql(text, scope="database"), database.name)

    assert {"public.pg_class", "pg_class", '"Odd name"', '"public.x"."t.u"', "shop.slow", "9999999"} <= expected
    assert {str(row["relname"]) for row in rows} == expected


def having(metric: str, **labels: str) -> Callable[[Collected], bool]:
    return lambda now: (now.value(metric, datname="app", **labels) or 0) > 0


@pytest.mark.parametrize("version", ["14", "16", "17", "18"])
async def test_a_running_vacuum_shows_how_far_it_is(servers: Servers, version: str) -> None:
    counted, measured = f"{VACUUM}_num_dead_tuples", f"{VACUUM}_dead_tuple_bytes"
    with slow_server(servers, version) as server:
        async with opened(server.target("db")) as datastore, running(server, "VACUUM slow", **SLOWLY):
            first = await eventually(
                datastore, "progress_vacuum", having(f"{VACUUM}_heap_blks_scanned", relname="slow")
            )
            scanned = first.value(f"{VACUUM}_heap_blks_scanned", datname="app", relname="slow")
            then = await eventually(
                datastore,
                "progress_vacuum",
                lambda now: (
                    (now.value(f"{VACUUM}_heap_blks_scanned", datname="app", relname="slow") or 0) > (scanned or 0)
                ),
            )
            dead = await eventually(
                datastore, "progress_vacuum", having(counted if int(version) < 17 else measured, relname="slow")
            )
            phases = await poll(datastore, "progress_vacuum_phase")
        [(pages,)] = server.psql("SELECT pg_relation_size('slow') / 8192", "app")
        async with opened(server.target("db")) as datastore:
            after = await poll(datastore, "progress_vacuum", "progress_vacuum_phase")

    slow = {"datname": "app", "relname": "slow"}
    assert then.value(f"{VACUUM}_heap_blks", **slow) == float(pages)
    assert then.value(f"{VACUUM}_heap_blks_vacuumed", **slow) == 0
    assert then.value(f"{VACUUM}_index_vacuums", **slow) == 0
    if int(version) < 17:
        assert (dead.value(f"{VACUUM}_max_dead_tuples", **slow) or 0) > 1000
        assert dead.samples[measured] == {}
    else:
        assert (dead.value(f"{VACUUM}_max_dead_tuple_bytes", **slow) or 0) >= 2**20
        assert (dead.value(f"{VACUUM}_num_dead_item_ids", **slow) or 0) > 0
        assert dead.samples[counted] == {}
    phase = {dict(labels)["phase"]: value for labels, value in phases.samples[f"{VACUUM}_phase"].items()}
    assert len(phase) == 7
    assert {name for name, value in phase.items() if value} == {"scanning heap"}
    assert after.series == {"progress_vacuum": 0, "progress_vacuum_phase": 0}


async def test_an_index_being_built_shows_its_share(server: Postgres, datastore: PostgresDatastore) -> None:
    """Two sessions at once: each scans the whole table."""
    [(pages,)] = server.psql("SELECT pg_relation_size('slow') / 8192", "app")
    where = {"command": "CREATE INDEX", "relname": "slow", "phase": "building index: scanning table", "unit": "blocks"}
    build = "CREATE INDEX ON slow (nap(id))"
    async with running(server, build), running(server, build):
        now = await eventually(
            datastore,
            "progress",
            lambda now: (
                (now.value("pg_progress_running", datname="app", **where) == 2)
                and having("pg_progress_done", **where)(now)
            ),
        )

    planned, done = (now.value(f"pg_progress_{name}", datname="app", **where) for name in ("planned", "done"))
    assert planned == 2 * float(pages)
    assert 0 < (done or 0) < planned
    assert now.value("pg_progress_done_ratio", datname="app", **where) == pytest.approx((done or 0) / planned)


async def test_an_index_that_waits_for_a_transaction_says_so(server: Postgres, datastore: PostgresDatastore) -> None:
    phase = {"phase": "waiting for writers before build", "unit": "lockers"}
    where = {"command": "CREATE INDEX CONCURRENTLY", "relname": "slow", **phase}
    async with client(server) as writer:
        await writer.execute("BEGIN; DELETE FROM slow WHERE id = 1")
        async with running(server, "CREATE INDEX CONCURRENTLY waiting ON slow (id)"):
            now = await eventually(datastore, "progress", having("pg_progress_planned", **where))

    assert now.value("pg_progress_planned", datname="app", **where) == 1
    assert now.value("pg_progress_done", datname="app", **where) == 0
    server.psql("DROP INDEX IF EXISTS waiting", "app")


async def test_a_copy_shows_its_bytes_and_a_share_where_the_size_is_known(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    file = server.data / "rows"
    server.psql(
        "CREATE TABLE filled (id int CHECK (nap(id) = id)); "
        f"COPY (SELECT * FROM generate_series(1, 20000)) TO '{file}'",
        "app",
    )
    where = {"command": "COPY FROM", "relname": "filled", "phase": "", "unit": "bytes"}
    async with running(server, f"COPY filled FROM '{file}'"):
        from_file = await eventually(datastore, "progress", having("pg_progress_done", **where))
    async with running(server, "COPY (SELECT nap(n) FROM generate_series(1, 20000) AS n) TO PROGRAM 'cat > /dev/null'"):
        out = {**where, "command": "COPY TO", "relname": ""}
        to_program = await eventually(datastore, "progress", having("pg_progress_done", **out))

    assert from_file.value("pg_progress_planned", datname="app", **where) == float(file.stat().st_size)
    assert 0 < (from_file.value("pg_progress_done_ratio", datname="app", **where) or 0) <= 1
    assert to_program.value("pg_progress_running", datname="app", **out) == 1
    assert to_program.samples["pg_progress_planned"] == to_program.samples["pg_progress_done_ratio"] == {}


async def test_an_analyze_and_a_rewrite_show(server: Postgres, datastore: PostgresDatastore) -> None:
    analyze = {"command": "ANALYZE", "relname": "slow", "phase": "acquiring sample rows", "unit": "blocks"}
    async with running(server, "ANALYZE slow", **SLOWLY):
        analyzing = await eventually(datastore, "progress", having("pg_progress_done_ratio", **analyze))
    server.psql("SET nap.seconds = 0; CREATE TABLE rewritten AS TABLE slow; CREATE INDEX ON rewritten (nap(id))", "app")
    rewrite = {"command": "VACUUM FULL", "relname": "rewritten", "phase": "rebuilding index", "unit": "blocks"}
    async with running(server, "VACUUM FULL rewritten"):
        rewriting = await eventually(datastore, "progress", having("pg_progress_running", **rewrite))

    assert 0 < (analyzing.value("pg_progress_done_ratio", datname="app", **analyze) or 0) < 1
    assert rewriting.value("pg_progress_running", datname="app", **rewrite) == 1


async def test_a_base_backup_shows_its_phase_and_bytes(server: Postgres, datastore: PostgresDatastore) -> None:
    streaming = {"phase": "streaming database files"}
    program, folder = fetch("18") / "bin" / "pg_basebackup", server.folder / "backup"
    options = ["--checkpoint=fast", "--max-rate=64k", "--wal-method=none", "--pgdata", str(folder)]
    before = await poll(datastore, "progress_basebackup")
    environment = {"LD_LIBRARY_PATH": str(fetch("18") / "lib")}
    process = await asyncio.create_subprocess_exec(program, *options, "--dbname", server.dsn(), env=environment)
    try:
        now = await eventually(
            datastore,
            "progress_basebackup",
            lambda now: (now.value("pg_stat_progress_basebackup_streamed_bytes", **streaming) or 0) > 0,
        )
    finally:
        process.kill()
        await process.wait()

    running = "pg_stat_progress_basebackup_running"
    assert set(before.samples[running].values()) == {0}
    assert now.value(running, **streaming) == 1
    assert sum(value for value in now.samples[running].values() if isinstance(value, float)) == 1
    size = now.value("pg_stat_progress_basebackup_size_bytes", **streaming) or 0
    assert size > (now.value("pg_stat_progress_basebackup_streamed_bytes", **streaming) or 0)
