"""Indexes that cost more than they give: each made on a real server and seen by the role that may only monitor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.queries.loader import builtin_folder
from testkit.machine import CommandError
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import eventually
from tests.support.postgres_scratch import Scratch, scratch

PEOPLE = """
CREATE TABLE people (id int PRIMARY KEY, name text, born date, town int);
INSERT INTO people SELECT n, 'name ' || n, date '1990-01-01' + n, n % 7 FROM generate_series(1, 3000) AS n;
"""


@pytest.fixture(scope="module", params=["14", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, {"autovacuum": "off"}) as server:
        yield server


def size(database: Scratch, index: str) -> int:
    [(pages,)] = database.psql(f"SELECT relpages FROM pg_class WHERE relname = '{index}'")
    return int(pages) * 8192


async def test_equal_indexes_are_duplicates_of_the_one_that_is_needed(server: Postgres) -> None:
    setup = """
    CREATE INDEX lower_1 ON people (lower(name));
    CREATE INDEX lower_2 ON people    (   lower(  name  )  );
    CREATE INDEX old_1 ON people (town) WHERE born < '1995-01-01';
    CREATE INDEX old_2 ON people (town)    WHERE   born < '1995-01-01';
    CREATE INDEX people_id ON people (id);
    ANALYZE;
    """
    async with scratch(server, PEOPLE + setup) as database:
        seen = await database.poll("indexes_duplicate")
        bytes_ = sum(size(database, index) for index in ("lower_2", "old_2", "people_id"))

    assert seen.value("pg_indexes_duplicate") == 3
    assert seen.names == ("public.lower_2", "public.old_2", "public.people_id")
    assert seen.value("pg_indexes_duplicate_bytes") == bytes_


async def test_indexes_that_differ_in_anything_are_no_duplicates(server: Postgres) -> None:
    setup = """
    CREATE INDEX ON people (name);
    CREATE INDEX ON people (name DESC);
    CREATE INDEX ON people (name text_pattern_ops);
    CREATE INDEX ON people (name COLLATE "C");
    CREATE INDEX ON people (name) INCLUDE (born);
    CREATE INDEX ON people (name) WHERE town = 1;
    CREATE INDEX ON people (name) WHERE town = 2;
    CREATE INDEX ON people USING hash (name);
    CREATE INDEX ON people (lower(name));
    CREATE INDEX ON people (upper(name));
    """
    async with scratch(server, PEOPLE + setup) as database:
        seen = await database.poll("indexes_duplicate")

    assert seen.value("pg_indexes_duplicate") == 0
    assert seen.value("pg_indexes_duplicate_bytes") == 0


async def test_the_first_columns_of_a_longer_index_need_none_of_their_own(server: Postgres) -> None:
    setup = """
    CREATE INDEX town_born_name ON people (town, born, name);
    CREATE INDEX town_born ON people (town, born);
    CREATE INDEX town ON people (town);
    CREATE INDEX town_falling ON people (town DESC);
    CREATE INDEX born ON people (born);
    CREATE INDEX town_with_name ON people (town) INCLUDE (name);
    CREATE INDEX town_of_some ON people (town) WHERE id < 100;
    CREATE UNIQUE INDEX name ON people (name);
    CREATE INDEX name_born ON people (name, born);
    ANALYZE;
    """
    async with scratch(server, PEOPLE + setup) as database:
        seen = await database.poll("indexes_redundant")
        bytes_ = size(database, "town") + size(database, "town_born")

    assert seen.value("pg_indexes_redundant") == 2
    assert seen.names == ("public.town", "public.town_born")
    assert seen.value("pg_indexes_redundant_bytes") == bytes_


async def test_index_of_a_failed_build_is_invalid(server: Postgres) -> None:
    async with scratch(server, PEOPLE) as database:
        before = await database.poll("indexes_invalid")
        with pytest.raises(CommandError, match="could not create unique index"):
            database.psql("CREATE UNIQUE INDEX CONCURRENTLY towns ON people (town)")
        after = await database.poll("indexes_invalid")

    assert before.value("pg_indexes_invalid") == 0
    assert after.value("pg_indexes_invalid") == 1
    assert after.names == ("public.towns",)


async def test_unused_is_said_of_what_nothing_scanned_and_nothing_needs(server: Postgres, tmp_path: Path) -> None:
    """With statistics that are old enough, which here is any age."""
    setup = """
    CREATE INDEX used ON people (born);
    CREATE INDEX never ON people (town);
    CREATE UNIQUE INDEX enforces ON people (name);
    CREATE TABLE stays (during tsrange, EXCLUDE USING gist (during WITH &&));
    ANALYZE;
    """
    (tmp_path / "postgres").mkdir()
    text = (builtin_folder() / "postgres" / "indexes_unused.yaml").read_text()
    (tmp_path / "postgres" / "indexes_unused.yaml").write_text(text.replace("days: 7", "days: 0"))
    async with scratch(server, PEOPLE + setup) as database:
        database.psql("SET enable_seqscan = off; SELECT count(*) FROM people WHERE born < '1990-02-01'")
        where = {"schemaname": "public", "relname": "people", "indexrelname": "used"}
        scans = "pg_largest_indexes_scans_total"
        counted = await eventually(
            database.datastore, "largest_indexes", lambda now: now.value(scans, datname=database.name, **where) == 1
        )
        seen = await database.poll("indexes_unused", tmp_path)
        bytes_ = size(database, "never")

    assert seen.value("pg_indexes_unused") == 1
    assert seen.value("pg_indexes_unused_bytes") == bytes_
    assert seen.names == ("public.never",)
    assert counted.value(scans, datname=database.name, **{**where, "indexrelname": "never"}) == 0


async def test_young_statistics_call_nothing_unused(server: Postgres) -> None:
    async with scratch(server, PEOPLE + "CREATE INDEX never ON people (town); SELECT pg_stat_reset()") as database:
        seen = await database.poll("indexes_unused")

    assert seen.collected.unsupported == {"indexes_unused": "unsupported: the statistics are younger than 7 days"}
    assert seen.collected.samples == {}


async def test_a_crash_makes_statistics_young(servers: Servers) -> None:
    """The database's own time of reset does not tell, the background writer's does."""
    with servers.private_postgres("18") as server:
        async with scratch(server, PEOPLE) as database:
            [(before,)] = server.psql("SELECT stats_reset FROM pg_stat_bgwriter")
            server.kill()
            server.start()
            [(after,)] = server.psql("SELECT stats_reset FROM pg_stat_bgwriter")
            seen = await database.poll("indexes_unused")

    assert before < after
    assert set(seen.collected.unsupported) == {"indexes_unused"}


async def test_the_largest_indexes_come_first(server: Postgres) -> None:
    setup = "CREATE TABLE many (n int); INSERT INTO many SELECT generate_series(1, 20000);"
    setup += "".join(f"CREATE INDEX many_{n} ON many (n) WHERE n > {n * 150};" for n in range(110))
    async with scratch(server, setup) as database:
        seen = await database.poll("largest_indexes")
        bytes_ = size(database, "many_0")

    sizes = seen.collected.samples["pg_largest_indexes_size_bytes"]
    where = {"schemaname": "public", "relname": "many"}
    assert len(sizes) == 100
    assert seen.value("pg_largest_indexes_size_bytes", **where, indexrelname="many_0") == bytes_
    assert seen.value("pg_largest_indexes_size_bytes", **where, indexrelname="many_109") is None
