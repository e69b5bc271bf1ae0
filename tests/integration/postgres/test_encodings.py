"""Names that are not UTF-8: shown with replacement characters, and nothing is lost beside them."""

import re
from collections.abc import Iterator

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import client, fetch, opened, poll, sql

C = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
# The first four are made in a database of LATIN1, the next in one that takes any byte.
FROM_LATIN1 = (
    'CREATE DATABASE "caf\u00e9"',
    'CREATE DATABASE "caf\u00e8"',
    'CREATE ROLE "caf\u00e9" LOGIN CONNECTION LIMIT 3',
    "BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'caf\u00e9'",
)
OF_BYTES = (
    b'CREATE SCHEMA "sch\xe9ma"',
    b'CREATE TABLE "sch\xe9ma"."caf\xe9" (id int PRIMARY KEY, other int, "col\xe9" serial)',
    b'CREATE TABLE "sch\xe9ma"."caf\xe8" (id int)',
    b'CREATE INDEX "ind\xe9x" ON "sch\xe9ma"."caf\xe9" (other)',
    b'CREATE INDEX "ind\xe8x" ON "sch\xe9ma"."caf\xe9" (other)',
    b'SELECT count(*) FROM "sch\xe9ma"."caf\xe9" WHERE "col\xe9"::text = \'a\xe9\'',
)
CAFES = {"caf\ufffd", "caf\ufffd (again)"}


@pytest.fixture(scope="module", params=["14", "18"])
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, {"max_prepared_transactions": "5"}) as server:
        server.psql(f"CREATE DATABASE latin ENCODING 'LATIN1' {C}")
        server.psql(f"CREATE DATABASE windows ENCODING 'WIN1252' {C}")
        server.psql(f"CREATE DATABASE bytes ENCODING 'SQL_ASCII' {C}")
        server.psql('CREATE DATABASE "n\u00fcrnberg"')
        for statement in FROM_LATIN1:
            server.psql(f"SET client_encoding = 'UTF8'; {statement}", "latin")
        for raw in OF_BYTES:
            server.psql(f"DO $$ BEGIN EXECUTE convert_from('\\x{raw.hex()}', 'SQL_ASCII'); END $$", "bytes")
        server.psql("ALTER ROLE monitor CONNECTION LIMIT 20")
        yield server


def shown(series: object, label: str) -> set[str]:
    """Return a label's values; the one of two equal names that came second has its bytes behind it."""
    return {
        re.sub(r" \(636166e[89]\)", " (again)", name) for name in re.findall(rf"\('{label}', '(.*?)'\)", str(series))
    }


async def test_every_query_answers_and_shows_what_is_not_utf8_replaced(server: Postgres) -> None:
    async with client(server, "windows") as holder, opened(server.target("db")) as datastore:
        await holder.execute("BEGIN; SELECT pg_current_xact_id()")
        everything = await poll(datastore)
        visited = await datastore.databases()

    assert set(visited) == {"app", "bytes", "latin", "n\u00fcrnberg", "postgres", "windows"}
    sizes = everything.samples["pg_database_size_bytes"]
    assert shown(sizes, "datname") == {*visited, "template0", "template1", *CAFES}
    assert shown(everything.samples["pg_role_connections"], "rolname") & CAFES
    tables = everything.samples["pg_stat_user_tables_n_live_tup"]
    assert shown(tables, "relname") >= CAFES
    assert shown(tables, "schemaname") >= {"sch\ufffdma", "public"}
    assert shown(tables, "datname") >= {"app", "bytes"}
    kept = [name for name in everything.findings["databases"] if "not UTF-8" in name]
    assert len(kept) == 2
    assert all(name.startswith("caf\ufffd") for name in kept)
    assert any("sch\ufffdma" in name for name in everything.findings["indexes_duplicate"])


@pytest.mark.parametrize("home", ["latin", "bytes", "windows"])
async def test_the_database_logged_in_to_may_have_any_encoding(server: Postgres, home: str) -> None:
    """What another encoding makes of a name is not its name: such a database is not asked for under it."""
    target = {**server.target("db"), "url": server.url.replace("/postgres", f"/{home}")}
    async with opened(target) as datastore:
        collected = await poll(datastore, "database_size", "databases", "role_connections", "user_tables")
        visited = await datastore.databases()

    utf8 = {"n\u00fcrnberg"} if home == "bytes" else set()
    assert set(visited) == {"app", "bytes", "latin", "postgres", "windows", *utf8}
    assert len(collected.samples["pg_database_size_bytes"]) == 10
    assert dict(collected.samples["pg_databases"])[("state", "not_utf8"),] == 3 - len(utf8)


async def test_a_message_that_is_not_utf8_fails_its_query_alone(server: Postgres) -> None:
    server.psql(
        "CREATE OR REPLACE FUNCTION public.complain() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%', convert_from('\\x636166e9', 'SQL_ASCII'); END $$",
        "bytes",
    )
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        with pytest.raises(UnicodeDecodeError) as caught:
            await fetch(datastore, sql("SELECT public.complain() AS value", scope="database"), "bytes")
        one = await fetch(datastore, sql("SELECT 1 AS value", scope="database", untrusted=True), "bytes")

    assert datastore.reason(caught.value) == "decode"
    assert one == [{"value": 1}]


async def test_a_pooled_server_answers_as_well(servers: Servers, server: Postgres) -> None:
    with servers.private_pgbouncer(server) as bouncer:
        async with opened(bouncer.server_target("db")) as datastore:
            collected = await poll(datastore, "database_size")

    assert shown(collected.samples["pg_database_size_bytes"], "datname") >= CAFES
