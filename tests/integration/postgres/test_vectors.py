"""Vector indexes and columns of pgvector, on a server that has the extension."""

from collections.abc import Iterator

import pytest

from testkit.machine import CommandError
from testkit.pgvector import VectorPostgres
from testkit.session import Servers
from tests.support.postgres_polls import client, eventually
from tests.support.postgres_scratch import Scratch, scratch

ITEMS = """
CREATE EXTENSION vector;
CREATE TABLE items (id int PRIMARY KEY, one vector(3), two vector(3));
INSERT INTO items SELECT n, ARRAY[n, n + 1, n + 2]::vector, ARRAY[n, 2, 3]::vector FROM generate_series(1, 2000) AS n;
CREATE TABLE few (id int PRIMARY KEY, one vector(3));
INSERT INTO few SELECT n, '[1, 2, 3]' FROM generate_series(1, 100) AS n;
ANALYZE;
"""
INDEXES = """
CREATE INDEX near ON items USING hnsw (one vector_l2_ops);
CREATE INDEX lists ON items USING ivfflat (two vector_cosine_ops) WITH (lists = 10);
"""


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[VectorPostgres]:
    with servers.private_vector_postgres() as server:
        yield server


def of(database: Scratch, index: str, method: str) -> dict[str, str]:
    return {
        "datname": database.name, "schemaname": "public", "relname": "items", "indexrelname": index, "method": method,
    }  # fmt: skip


async def test_vector_indexes_have_method_size_and_scans(server: VectorPostgres) -> None:
    scans, nearest = "pg_vector_index_scans_total", "SELECT id FROM items ORDER BY one <-> '[3, 4, 5]' LIMIT 1"
    async with scratch(server, ITEMS + INDEXES) as database:
        before = (await database.poll("vector_indexes")).collected
        database.psql(f"SET enable_seqscan = off; {nearest}; {nearest}")
        near, lists = of(database, "near", "hnsw"), of(database, "lists", "ivfflat")
        after = await eventually(database.datastore, "vector_indexes", lambda now: now.value(scans, **near) == 2)
        [(pages,)] = database.psql("SELECT relpages FROM pg_class WHERE relname = 'near'")

    assert before.value(scans, **near) == 0
    assert before.value("pg_vector_index_valid", **near) == before.value("pg_vector_index_valid", **lists) == 1
    assert after.value("pg_vector_index_size_bytes", **near) == int(pages) * 8192
    assert int(pages) > 10
    assert after.value(scans, **lists) == 0


async def test_a_build_that_failed_is_not_valid(server: VectorPostgres) -> None:
    async with scratch(server, ITEMS) as database:
        broken = "(ARRAY[1.0 / (id - 500), 1, 1]::vector(3)) vector_l2_ops"
        with pytest.raises(CommandError, match="division by zero"):
            database.psql(f"CREATE INDEX CONCURRENTLY near ON items USING hnsw ({broken})")
        seen = (await database.poll("vector_indexes")).collected

    assert seen.value("pg_vector_index_valid", **of(database, "near", "hnsw")) == 0


@pytest.mark.parametrize(
    ("index", "left"),
    [
        ("USING hnsw (one vector_l2_ops)", ("public.items two",)),
        ("USING hnsw ((one::halfvec(3)) halfvec_l2_ops)", ("public.items two",)),
        ("USING btree (one)", ("public.items one", "public.items two")),
    ],
)
async def test_a_vector_column_wants_an_index_that_searches(
    server: VectorPostgres, index: str, left: tuple[str, ...]
) -> None:
    async with scratch(server, ITEMS) as database:
        before = await database.poll("vector_columns")
        database.psql(f"CREATE INDEX ON items {index}")
        after = await database.poll("vector_columns")

    assert before.value("pg_vector_columns") == 3
    assert before.names == ("public.items one", "public.items two")
    assert after.value("pg_vector_columns_unindexed") == len(left)
    assert after.names == left


async def test_a_locked_table_stops_neither(server: VectorPostgres) -> None:
    async with scratch(server, ITEMS + INDEXES) as database, client(server, database.name) as holder:
        await holder.execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        indexes = await database.poll("vector_indexes")
        columns = await database.poll("vector_columns")

    assert indexes.collected.series["vector_indexes"] == 6
    assert columns.value("pg_vector_columns_unindexed") == 0


async def test_without_the_extension_there_is_a_reason(server: VectorPostgres) -> None:
    async with scratch(server) as database:
        indexes = await database.poll("vector_indexes")

    assert indexes.collected.unsupported == {"vector_indexes": "unsupported: needs extension vector"}
