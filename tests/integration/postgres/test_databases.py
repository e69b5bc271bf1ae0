"""Many databases: found, chosen, visited one after another with one connection, and said why where not."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.errors import NoSessionError
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.postgres_polls import client, eventually, fetch, opened, poll, sql

OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'datatier-exporter'"
ODD = ("Upper Case", 'quo"te', "it's", "ünïcode ☃", "per%cent", "back\\slash", "semi;colon", "sl/ash")
SETUP = """
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE secret_1;
CREATE DATABASE no_entry ALLOW_CONNECTIONS false;
CREATE DATABASE blueprint IS_TEMPLATE true;
CREATE DATABASE remains;
UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'remains';
"""


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        for statement in SETUP.strip().split(";\n"):
            server.psql(statement)
        yield server


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def databases(collected: Collected, metric: str) -> set[str]:
    return {dict(labels)["datname"] for labels in collected.samples.get(metric, {})}


def states(collected: Collected) -> dict[str, Any]:
    return {dict(labels)["state"]: value for labels, value in collected.samples["pg_databases"].items()}


async def test_databases_not_visited_are_counted_and_named_with_the_reason(server: Postgres) -> None:
    target = server.target("db", databases={"exclude": ["secret*"]})
    async with opened(target) as datastore:
        collected = await poll(datastore, "databases", "user_tables")

    assert states(collected) == {
        "visited": 2, "broken": 1, "template": 3, "no_connect": 1, "excluded": 1, "no_privilege": 1, "not_pooled": 0,
        "not_utf8": 0, "refused": 0,
    }  # fmt: skip
    assert set(collected.findings["databases"]) == {
        "blueprint: a template",
        "closed: the role may not connect",
        "no_entry: takes no connections",
        "remains: the remains of an interrupted DROP DATABASE",
        "secret_1: left out by the target's databases",
        "template0: a template",
        "template1: a template",
    }
    assert databases(collected, "pg_stat_user_tables_others") == {"app", "postgres"}


async def test_a_database_left_out_is_in_no_series_of_any_query(server: Postgres) -> None:
    """It holds locks, has connections, tables, an old transaction and the worst age, like any other."""
    target = server.target("db", databases={"exclude": ["secret*"]})
    server.psql("CREATE TABLE hidden (id int PRIMARY KEY); INSERT INTO hidden VALUES (1)", "secret_1")
    async with client(server, "secret_1") as holder, client(server, "secret_1") as waiter, opened(target) as datastore:
        await holder.execute("BEGIN; LOCK TABLE hidden IN ACCESS EXCLUSIVE MODE")
        waiting = asyncio.create_task(waiter.execute("SELECT * FROM hidden"))
        await eventually(datastore, "blocking", lambda now: any(now.samples["pg_blocked_sessions"].values()))
        collected = await poll(datastore)
        everything = await collect({**target, "databases": {"exclude": []}}, only=["stat_database", "database_size"])
        await holder.execute("COMMIT")
        await waiting

    with_label = {query.name for query in read_queries(["postgres"]) if "datname" in query.label_names}
    assert {"activity", "database_size", "locks", "stat_database", "wraparound", "cache_hit_ratio"} <= with_label
    assert "secret_1" in databases(everything, "pg_stat_database_numbackends")
    assert "secret_1" in databases(everything, "pg_database_size_bytes")
    assert databases(collected, "pg_stat_database_numbackends") >= {"app", "postgres"}
    assert [metric for metric, series in collected.samples.items() if "secret_1" in str(series)] == []


async def test_databases_with_odd_names_are_visited_like_any_other(server: Postgres) -> None:
    for name in ODD:
        server.psql(f"CREATE DATABASE {identifier(name)}")
    async with opened(server.target("db")) as datastore:
        collected = await poll(datastore, "user_tables", "database_size", "wraparound")

    for metric in ("pg_stat_user_tables_others", "pg_database_size_bytes", "pg_database_xid_age"):
        assert databases(collected, metric) >= {*ODD, "app", "postgres"}
    for name in ODD:
        server.psql(f"DROP DATABASE {identifier(name)}")


async def test_a_database_made_anew_has_nothing_of_its_namesake(server: Postgres) -> None:
    """What operations keep of a database goes with it."""
    where = {"datname": "again"}
    async with opened(server.target("db")) as datastore:
        server.psql("CREATE DATABASE again")
        await poll(datastore, "index_hit_ratio")
        server.psql("CREATE TABLE t AS SELECT n FROM generate_series(1, 9999) AS n; CREATE INDEX ON t (n)", "again")
        server.psql("SET enable_seqscan = off; SELECT count(*) FROM t WHERE n < 5000", "again")
        before = await eventually(
            datastore, "index_hit_ratio", lambda now: (now.value("pg_index_blocks_read_total", **where) or 0) > 0
        )
        server.psql("DROP DATABASE again")
        await datastore.ping()
        server.psql("CREATE DATABASE again")
        after = await poll(datastore, "index_hit_ratio")
    server.psql("DROP DATABASE again")

    assert (before.value("pg_index_blocks_read_total", **where) or 0) > 0
    assert after.value("pg_index_blocks_read_total", **where) == 0


async def test_a_database_that_goes_fails_alone_and_one_that_comes_is_found(server: Postgres) -> None:
    here = sql("SELECT 1 AS value", scope="database")
    server.psql("CREATE DATABASE going")
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        assert "going" in await datastore.databases()
        server.psql("DROP DATABASE going")
        server.psql("CREATE DATABASE coming")
        with pytest.raises(NoSessionError) as caught:
            await fetch(datastore, here, "going")
        assert (caught.value.reason, caught.value.database) == ("unsupported", "going")
        assert await fetch(datastore, here, "app") == [{"value": 1}]
        later = await poll(datastore, "user_tables")

    assert databases(later, "pg_stat_user_tables_others") == {"app", "coming", "postgres", "secret_1"}
    server.psql("DROP DATABASE coming")


async def test_twenty_databases_need_one_connection_more(servers: Servers) -> None:
    """While all of them are visited the server never sees more than that one and the one that pings."""
    with servers.private_postgres("18") as server:
        for number in range(20):
            server.psql(f"CREATE DATABASE db_{number:02}")
        async with opened(server.target("db", databases={"include": ["db_*"]})) as datastore, client(server) as watcher:
            await datastore.ping()
            seen: set[int] = set()

            async def watch() -> None:
                while True:
                    seen.add(await watcher.fetchval(OURS))

            watching = asyncio.create_task(watch())
            visited = await datastore.databases()
            async with datastore.session("slow") as session:
                for name in visited:
                    for query in read_queries(["postgres"]):
                        if query.name in ("user_tables", "table_xid_age", "progress"):
                            await session.fetch(query, name)
            watching.cancel()
            await asyncio.wait([watching])
            collected = await poll(datastore, "databases")

    assert len(visited) == 20
    assert max(seen) == 2
    assert states(collected)["visited"] == 20
    assert states(collected)["excluded"] == 2


async def test_a_tablespace_has_its_size_and_one_that_may_not_be_measured_has_none(server: Postgres) -> None:
    place = server.data.parent / "fast disk"
    server.psql(f"COPY (SELECT 1) TO PROGRAM 'mkdir -m 700 \"{place}\"'")
    server.psql(f"CREATE TABLESPACE fast LOCATION '{place}'")
    server.psql("CREATE TABLE large TABLESPACE fast AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)", "app")
    server.psql("CHECKPOINT; CREATE ROLE plain LOGIN PASSWORD 'plain'")
    url = server.url.replace("monitor@", "plain@")
    [(size,)] = server.psql("SELECT pg_tablespace_size('fast')")
    seen = await collect(server.target("db"), only=["tablespace_size"])
    unseen = await collect({**server.target("db"), "url": url, "password": "plain"}, only=["tablespace_size"])

    assert seen.value("pg_tablespace_size_bytes", spcname="fast") == float(size) > 5_000_000
    assert {dict(labels)["spcname"] for labels in seen.samples["pg_tablespace_size_bytes"]} >= {"pg_default", "fast"}
    assert unseen.failures == {}
    assert unseen.value("pg_tablespace_size_bytes", spcname="fast") is None
    server.psql("DROP TABLE large", "app")
    server.psql("DROP TABLESPACE fast")


@pytest.mark.parametrize("version", ["15", "16", "17", "18"])
async def test_shared_buffers_are_summed_up_where_the_extension_is(servers: Servers, version: str) -> None:
    """In whatever schema; before PostgreSQL 16 there is no summary."""
    with servers.private_postgres(version) as server:
        without = await collect(server.target("db"), only=["buffercache_summary"])
        server.psql('CREATE SCHEMA "Odd ""one"; CREATE EXTENSION pg_buffercache SCHEMA "Odd ""one"')
        server.psql('GRANT USAGE ON SCHEMA "Odd ""one" TO monitor')
        collected = await collect(server.target("db"), only=["buffercache_summary"])

    values = {name.removeprefix("pg_buffercache_summary_"): collected.value(name) for name in collected.samples}
    if version == "15":
        assert collected.unsupported == {"buffercache_summary": "unsupported: needs version >=16"}
        return
    assert without.unsupported == {"buffercache_summary": "unsupported: needs extension pg_buffercache>=1.4"}
    assert collected.failures == {}
    assert (values["buffers_used"] or 0) + (values["buffers_unused"] or 0) == 16 * 2**20 / 8192
    assert (values["buffers_used"] or 0) > 0
    assert 0 <= (values["buffers_dirty"] or 0) <= (values["buffers_used"] or 0)
    assert 0 < (values["usagecount_avg"] or 0) <= 5
    assert values["buffers_pinned"] is not None
