"""Bloat by pgstattuple, one relation at a time, in spite of locks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.datastores.postgres.datastore import PostgresSession
from exporter.queries.loader import builtin_folder
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import client
from tests.support.postgres_scratch import Seen, scratch

SETUP = """
CREATE EXTENSION pgstattuple;
CREATE TABLE full_one (id int PRIMARY KEY, filler text);
INSERT INTO full_one SELECT n, repeat('x', 200) FROM generate_series(1, 20000) AS n;
CREATE TABLE hollow (id int PRIMARY KEY, filler text);
INSERT INTO hollow SELECT n, repeat('x', 200) FROM generate_series(1, 20000) AS n;
"""
EMPTY = "DELETE FROM hollow WHERE id % 4 > 0"


@pytest.fixture(scope="module", params=["14", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, {"autovacuum": "off"}) as server:
        yield server


def bloat(seen: Seen, table: str) -> float:
    return seen.value("pg_table_bloat_ratio", schemaname="public", relname=table) or 0.0


def density(seen: Seen, table: str) -> float:
    where = {"schemaname": "public", "relname": table, "indexrelname": f"{table}_pkey"}
    return seen.value("pg_index_leaf_density_ratio", **where) or 0.0


async def test_deleted_rows_are_bloat_before_and_after_a_vacuum(server: Postgres) -> None:
    async with scratch(server, SETUP) as database:
        database.psql("VACUUM ANALYZE")
        database.psql(EMPTY)
        dead = await database.poll("table_bloat")
        database.psql("VACUUM ANALYZE")
        free = await database.poll("table_bloat")
        [(size,)] = database.psql("SELECT pg_relation_size('hollow')")
        database.psql("VACUUM FULL hollow")
        packed = await database.poll("table_bloat")

    assert bloat(dead, "hollow") > 0.5
    assert bloat(free, "hollow") > 0.5
    assert bloat(free, "full_one") < 0.1
    assert bloat(packed, "hollow") < 0.1
    freed = free.value("pg_table_bloat_bytes", schemaname="public", relname="hollow")
    assert freed == pytest.approx(bloat(free, "hollow") * int(size), rel=0.01)


async def test_an_index_of_deleted_rows_is_thin_until_it_is_built_anew(server: Postgres) -> None:
    async with scratch(server, SETUP) as database:
        database.psql("VACUUM ANALYZE")
        full = await database.poll("index_bloat")
        database.psql(EMPTY)
        database.psql("VACUUM ANALYZE")
        thin = await database.poll("index_bloat")
        database.psql("REINDEX TABLE hollow")
        rebuilt = await database.poll("index_bloat")

    assert density(full, "hollow") > 0.85
    assert density(thin, "hollow") < 0.3
    assert density(thin, "full_one") > 0.85
    assert density(rebuilt, "hollow") > 0.8


async def test_a_locked_table_costs_only_itself(server: Postgres) -> None:
    """A session that only waits for the lock blocks the measurement, too."""
    async with scratch(server, SETUP + "VACUUM ANALYZE") as database:
        async with client(server, database.name) as holder:
            await holder.execute("BEGIN; LOCK TABLE hollow IN ACCESS EXCLUSIVE MODE")
            tables = await database.poll("table_bloat")
            indexes = await database.poll("index_bloat")
        after = await database.poll("table_bloat")

    where = {"schemaname": "public"}
    assert tables.value("pg_table_bloat_ratio", **where, relname="hollow") is None
    assert tables.value("pg_table_bloat_ratio", **where, relname="full_one") is not None
    assert (density(indexes, "hollow"), density(indexes, "full_one") > 0) == (0, True)
    assert after.value("pg_table_bloat_ratio", **where, relname="hollow") is not None


async def test_relation_that_takes_too_long_is_skipped(server: Postgres) -> None:
    """A lock may come after the look at all locks; a relation may be gone, or too large for the time."""
    async with scratch(server, SETUP) as database, client(server, database.name) as holder:
        await holder.execute("BEGIN; LOCK TABLE hollow IN ACCESS EXCLUSIVE MODE")
        await database.datastore.ping()
        oids = {name: int(oid) for name, oid in database.psql("SELECT relname, oid FROM pg_class WHERE relkind = 'r'")}
        async with database.datastore.session("slow") as session:
            assert isinstance(session, PostgresSession)
            bound = replace(session, database=database.name)
            measure = "SELECT table_len FROM public.pgstattuple_approx($1::oid)"
            locked = await bound.rows_of_relation(measure, oids["hollow"], seconds=3.0)
            gone = await bound.rows_of_relation(measure, 1, seconds=3.0)
            slow = await bound.rows_of_relation("SELECT pg_sleep(30)", seconds=0.2)
            [[size]] = await bound.rows_of_relation(measure, oids["full_one"], seconds=3.0)
        [(expected,)] = database.psql("SELECT pg_relation_size('full_one')")

    assert (locked, gone, slow) == ((), (), ())
    assert str(size) == expected


async def test_only_so_many_and_only_so_large(server: Postgres, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    text = (builtin_folder() / "postgres" / "table_bloat.yaml").read_text()
    text = text.replace("relations: 20", "relations: 1").replace("max_bytes: 10737418240", "max_bytes: 4000000")
    (tmp_path / "postgres" / "table_bloat.yaml").write_text(text)
    small = "CREATE TABLE small AS SELECT 1 AS n; CREATE TABLE middle AS SELECT generate_series(1, 5000); ANALYZE"
    async with scratch(server, SETUP + small) as database:
        seen = await database.poll("table_bloat", tmp_path)

    tables = {dict(labels)["relname"] for labels in seen.collected.samples["pg_table_bloat_ratio"]}
    assert tables == {"middle"}


async def test_the_extension_may_lie_in_any_schema_or_not_at_all(server: Postgres) -> None:
    setup = 'CREATE SCHEMA "Odd one"; GRANT USAGE ON SCHEMA "Odd one" TO monitor; CREATE TABLE t AS SELECT 1 AS n;'
    async with scratch(server, setup + "ANALYZE") as database:
        without = await database.poll("table_bloat")
        database.psql('CREATE EXTENSION pgstattuple SCHEMA "Odd one"')
        tables = await database.poll("table_bloat")

    assert without.collected.unsupported == {"table_bloat": "unsupported: needs extension pgstattuple>=1.5"}
    assert bloat(tables, "t") > 0.9
