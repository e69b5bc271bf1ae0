"""What schemas lack or leave open: each made on a real server and seen by the role that may only monitor."""

from collections.abc import Iterator

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import client
from tests.support.postgres_scratch import database_queries, scratch

BOOKS = """
CREATE TABLE shelves (a int, b int, PRIMARY KEY (a, b));
INSERT INTO shelves SELECT n, n FROM generate_series(1, 2000) AS n;
CREATE TABLE books (id int PRIMARY KEY, a int, b int, CONSTRAINT books_shelf FOREIGN KEY (a, b) REFERENCES shelves);
INSERT INTO books SELECT n, n, n FROM generate_series(1, 2000) AS n;
ANALYZE;
"""


@pytest.fixture(scope="module", params=["14", "16", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, {"autovacuum": "off", "track_commit_timestamp": "on"}) as server:
        yield server


@pytest.mark.parametrize(
    ("index", "missing"),
    [
        ("", 1),
        ("CREATE INDEX ON books (a, b)", 0),
        ("CREATE INDEX ON books (b, a)", 0),
        ("CREATE INDEX ON books (b, a, id)", 0),
        ("CREATE INDEX ON books (a, id, b)", 1),
        ("CREATE INDEX ON books (a)", 1),
        ("CREATE INDEX ON books (a, b) WHERE id > 7", 1),
        ("CREATE INDEX ON books USING brin (a, b)", 1),
    ],
)
async def test_a_foreign_key_wants_an_index_that_starts_with_its_columns(
    server: Postgres, index: str, missing: int
) -> None:
    async with scratch(server, BOOKS + index) as database:
        seen = await database.poll("foreign_keys")

    assert seen.value("pg_foreign_keys_without_index") == missing
    assert seen.names == ("public.books books_shelf",) * missing


async def test_the_foreign_keys_of_small_tables_are_left_alone(server: Postgres) -> None:
    async with scratch(server, BOOKS + "DELETE FROM books WHERE id > 900; VACUUM ANALYZE books") as database:
        seen = await database.poll("foreign_keys")

    assert seen.value("pg_foreign_keys_without_index") == 0


async def test_a_partitioned_tables_foreign_key_counts_once(server: Postgres) -> None:
    partitioned = """
    CREATE TABLE loans (a int, b int, FOREIGN KEY (a, b) REFERENCES shelves) PARTITION BY RANGE (a);
    CREATE TABLE loans_1 PARTITION OF loans FOR VALUES FROM (0) TO (1000);
    CREATE TABLE loans_2 PARTITION OF loans FOR VALUES FROM (1000) TO (3000);
    INSERT INTO loans SELECT n, n FROM generate_series(1, 2000) AS n;
    ANALYZE;
    CREATE INDEX ON books (a, b);
    """
    async with scratch(server, BOOKS + partitioned) as database:
        without = await database.poll("foreign_keys")
        database.psql("CREATE INDEX ON loans (a, b)")
        indexed = await database.poll("foreign_keys")

    assert without.names == ("public.loans loans_a_b_fkey",)
    assert indexed.value("pg_foreign_keys_without_index") == 0


async def test_constraints_that_old_rows_may_break_count_until_they_are_validated(server: Postgres) -> None:
    unchecked = """
    ALTER TABLE books ADD CONSTRAINT cheap CHECK (id < 10) NOT VALID;
    ALTER TABLE books DROP CONSTRAINT books_shelf;
    ALTER TABLE books ADD CONSTRAINT books_shelf FOREIGN KEY (a, b) REFERENCES shelves NOT VALID;
    CREATE DOMAIN grade AS int;
    ALTER DOMAIN grade ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID;
    """
    async with scratch(server, BOOKS + unchecked) as database:
        before = await database.poll("constraints_not_validated")
        database.psql("ALTER TABLE books VALIDATE CONSTRAINT books_shelf")
        database.psql("ALTER DOMAIN grade VALIDATE CONSTRAINT positive")
        after = await database.poll("constraints_not_validated")

    assert before.value("pg_constraints_not_validated", type="check") == 2
    assert before.value("pg_constraints_not_validated", type="foreign_key") == 1
    assert set(before.names) == {"public.books cheap", "public.grade positive", "public.books books_shelf"}
    assert after.value("pg_constraints_not_validated", type="check") == 1
    assert after.value("pg_constraints_not_validated", type="foreign_key") == 0
    assert after.value("pg_constraints_not_validated", type="not_null") == 0


async def test_constraints_that_nothing_enforces_count_apart(servers: Servers) -> None:
    """PostgreSQL 18 brought them."""
    setup = """
    ALTER TABLE books ADD CONSTRAINT wish CHECK (id < 10) NOT ENFORCED;
    ALTER TABLE books ADD CONSTRAINT a_given NOT NULL a NOT VALID;
    """
    with servers.private_postgres("18") as server:
        async with scratch(server, BOOKS + setup) as database:
            seen = await database.poll("constraints_not_validated")

    assert seen.value("pg_constraints_not_enforced", type="check") == 1
    assert seen.value("pg_constraints_not_validated", type="check") == 0
    assert seen.value("pg_constraints_not_validated", type="not_null") == 1


async def test_a_materialized_view_has_the_time_of_its_refresh_and_whether_it_can_be_read(server: Postgres) -> None:
    setup = BOOKS + "CREATE MATERIALIZED VIEW ids AS SELECT id FROM books WITH NO DATA"
    clock = "SELECT extract(epoch FROM clock_timestamp())"
    where = {"schemaname": "public", "matviewname": "ids"}
    async with scratch(server, setup) as database:
        empty = await database.poll("materialized_views")
        database.psql("REFRESH MATERIALIZED VIEW ids; CREATE UNIQUE INDEX ON ids (id); ANALYZE ids")
        filled = await database.poll("materialized_views")
        [(before,)] = database.psql(clock)
        database.psql("REFRESH MATERIALIZED VIEW CONCURRENTLY ids")
        [(after,)] = database.psql(clock)
        database.psql("VACUUM ANALYZE ids")
        refreshed = await database.poll("materialized_views")

    assert empty.value("pg_matview_populated", **where) == 0
    assert empty.value("pg_matview_unique_index", **where) == 0
    assert filled.value("pg_matview_populated", **where) == 1
    assert filled.value("pg_matview_unique_index", **where) == 1
    assert (filled.value("pg_matview_size_bytes", **where) or 0) >= 8192
    changed = refreshed.value("pg_matview_last_change_timestamp_seconds", **where)
    assert changed is not None
    assert float(before) <= changed <= float(after)


async def test_without_times_of_commits_the_last_refresh_is_unknown(servers: Servers) -> None:
    with servers.private_postgres("18") as server:
        async with scratch(server, "CREATE MATERIALIZED VIEW one AS SELECT 1 AS n") as database:
            seen = await database.poll("materialized_views")

    assert seen.collected.samples["pg_matview_last_change_timestamp_seconds"] == {}
    assert seen.value("pg_matview_populated", schemaname="public", matviewname="one") == 1


async def test_tables_with_and_without_row_level_security(server: Postgres) -> None:
    tables = "CREATE TABLE one (id int); CREATE TABLE two (id int); CREATE TABLE three (id int)"
    async with scratch(server, tables) as database:
        none = await database.poll("row_security")
        database.psql("ALTER TABLE one ENABLE ROW LEVEL SECURITY; ALTER TABLE two ENABLE ROW LEVEL SECURITY")
        database.psql("ALTER TABLE two FORCE ROW LEVEL SECURITY; CREATE POLICY mine ON three USING (id = 1)")
        some = await database.poll("row_security")

    assert (none.value("pg_tables_row_security"), none.value("pg_tables_without_row_security")) == (0, 3)
    assert none.names == ()
    assert (some.value("pg_tables_row_security"), some.value("pg_tables_without_row_security")) == (2, 1)
    assert some.value("pg_tables_row_security_forced") == 1
    assert some.value("pg_tables_row_security_policies_idle") == 1
    assert some.names == ("public.three",)


async def test_tables_without_primary_key_are_named(server: Postgres) -> None:
    setup = """
    CREATE SCHEMA "Odd one";
    CREATE TABLE "Odd one".heap (id int);
    CREATE TABLE keyed (id int PRIMARY KEY);
    CREATE TABLE days (at date) PARTITION BY RANGE (at);
    CREATE TABLE days_1 PARTITION OF days DEFAULT;
    CREATE TABLE nothing_more (id int UNIQUE NOT NULL);
    """
    async with scratch(server, setup) as database:
        seen = await database.poll("primary_keys")

    assert seen.value("pg_tables_without_primary_key") == 3
    assert seen.names == ('"Odd one".heap', "public.days", "public.nothing_more")


async def test_an_extension_has_its_version_and_that_of_an_update(server: Postgres) -> None:
    async with scratch(server, "CREATE EXTENSION pgstattuple VERSION '1.4'") as database:
        old = await database.poll("extensions")
        database.psql("ALTER EXTENSION pgstattuple UPDATE")
        new = await database.poll("extensions")

    assert old.value("pg_extension_info", name="pgstattuple", version="1.4") == 1
    assert old.value("pg_extension_update_available", name="pgstattuple", version="1.4") == 1
    assert new.value("pg_extension_update_available", name="pgstattuple", version="1.5") == 0
    assert new.value("pg_extension_update_available", name="plpgsql", version="1.0") == 0


async def test_a_large_table_that_is_not_partitioned_is_named(server: Postgres) -> None:
    setup = "CREATE TABLE log (id int); CREATE TABLE small (id int)"
    async with scratch(server, setup) as database:
        before = await database.poll("large_tables")
        database.psql("UPDATE pg_class SET reltuples = 2e8 WHERE relname = 'log'")
        after = await database.poll("large_tables")

    assert before.value("pg_large_tables_not_partitioned") == 0
    assert after.value("pg_large_tables_not_partitioned") == 1
    assert after.names == ("public.log",)


async def test_a_locked_table_stops_none_of_them(server: Postgres) -> None:
    setup = BOOKS + "CREATE MATERIALIZED VIEW ids AS SELECT id FROM books; CREATE EXTENSION pgstattuple"
    async with scratch(server, setup) as database, client(server, database.name) as holder:
        await holder.execute("BEGIN; LOCK TABLE books, shelves IN ACCESS EXCLUSIVE MODE")
        seen = {name: await database.poll(name) for name in database_queries() if not name.startswith("vector")}

    assert seen["foreign_keys"].names == ("public.books books_shelf",)
    assert seen["materialized_views"].value("pg_matview_populated", schemaname="public", matviewname="ids") == 1
    assert seen["largest_indexes"].collected.series["largest_indexes"] > 0
