"""pg_stat_statements on every version: what was run is counted, whatever is evicted, reset or hidden."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import client, opened, poll

VERSIONS = ("14", "15", "16", "17", "18")
pytestmark = pytest.mark.servers(*(f"postgres:{version}" for version in VERSIONS))


@pytest.fixture(scope="module")
def own(servers: Servers) -> Iterator[Postgres]:
    """Give a server on which the test alone runs statements; those inside functions are seen, too."""
    with servers.private_postgres("18", {"pg_stat_statements.track": "all"}) as server:
        yield server


@asynccontextmanager
async def simple(server: Postgres) -> AsyncIterator[Any]:
    """Connect to `app` so that a statement is one call: none is prepared, none asks for types."""
    async with client(server, statement_cache_size=0) as connection:
        yield connection


def number(collected: Collected, metric: str, **labels: str) -> float:
    value = collected.value(metric, **labels)
    assert value is not None, f"{metric}{labels} is not there"
    return value


def total(collected: Collected, metric: str = "pg_statements_calls_total", datname: str = "app") -> float:
    return number(collected, metric, user="", datname=datname, queryid="")


def queryid_of(server: Postgres, text: str) -> str:
    [(queryid,)] = server.psql(f"SELECT DISTINCT queryid FROM pg_stat_statements WHERE query LIKE '{text}%'")
    return queryid


def increases(before: Collected, after: Collected, metric: str, datname: str = "app") -> float:
    """Add up what the series of a database grew by, those that both pages show: what a rate sees."""
    old, new = before.samples[metric], after.samples[metric]
    grown = [(old[key], new[key]) for key in old.keys() & new.keys() if ("datname", datname) in key]
    assert all(b >= a for a, b in grown)  # type: ignore[operator]  # plain counters
    return sum(b - a for a, b in grown)  # type: ignore[operator,misc]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_statement_run_seven_times_counts_seven(servers: Servers, version: str) -> None:
    server = servers.postgres(version)
    statement = f"SELECT count(*) AS of_the_test_{version} FROM products"
    server.psql(statement, "app")
    where = {"user": "postgres", "datname": "app", "queryid": queryid_of(server, statement)}
    async with opened(server.target("db")) as datastore:
        await poll(datastore, "statements")
        server.psql(f"{statement};" * 3, "app")
        first = await poll(datastore, "statements")
        server.psql(f"{statement};" * 7, "app")
        second = await poll(datastore, "statements")

    for metric in ("pg_stat_statements_calls_total", "pg_stat_statements_rows_total"):
        assert number(second, metric, **where) - number(first, metric, **where) == 7
    assert number(second, "pg_stat_statements_seconds_total", **where) > 0
    assert number(second, "pg_stat_statements_shared_blocks_hit_total", **where) > 0
    longest = number(second, "pg_stat_statements_max_exec_seconds", **where)
    assert longest == pytest.approx(
        float(server.psql(f"SELECT max_exec_time / 1000 FROM pg_stat_statements WHERE query = '{statement}'")[0][0])
    )
    assert increases(first, second, "pg_stat_statements_calls_total") == total(second) - total(first)
    assert bool(second.samples["pg_stat_statements_jit_seconds_total"]) == (int(version) > 14)  # unknown is not 0
    assert "of_the_test" not in str(second.samples)


@pytest.mark.parametrize("version", VERSIONS)
async def test_eviction_and_reset_let_no_counter_fall(servers: Servers, version: str) -> None:
    """300 different statements where 100 have room, then a reset and ten more: each of the calls is counted once."""
    with servers.private_postgres(version, {"pg_stat_statements.max": "100"}) as server:
        async with opened(server.target("small")) as datastore, simple(server) as connection:
            pages = [await poll(datastore, "statements", "statements_info")]
            for batch in range(31):
                if batch == 30:
                    server.psql("SELECT pg_stat_statements_reset()")
                for shape in range(batch * 10, batch * 10 + 10):
                    await connection.execute(distinct(shape))
                    await connection.execute(distinct(shape))
                pages.append(await poll(datastore, "statements", "statements_info"))

    assert number(pages[-2], "pg_stat_statements_dealloc_total") > 0
    assert total(pages[-1]) == 31 * 20
    for before, after in pairwise(pages):
        for metric in ("pg_stat_statements_calls_total", "pg_stat_statements_rows_total"):
            of_all = metric.replace("stat_", "")
            assert increases(before, after, metric) == total(after, of_all) - total(before, of_all) >= 0
    assert all(len(page.samples["pg_stat_statements_calls_total"]) <= 100 + 2 for page in pages)


async def test_statements_inside_a_function_count_with_those_at_top_level(own: Postgres) -> None:
    statement = "SELECT count(*) FROM customers"
    own.psql(
        "CREATE FUNCTION inside() RETURNS bigint LANGUAGE plpgsql AS $$ "
        f"DECLARE n bigint; BEGIN {statement} INTO n; RETURN n; END $$",
        "app",
    )
    own.psql(f"{statement}; SELECT inside()", "app")
    where = {"user": "postgres", "datname": "app", "queryid": queryid_of(own, statement)}
    entries = own.psql(f"SELECT toplevel FROM pg_stat_statements WHERE queryid = {where['queryid']} ORDER BY 1")
    async with opened(own.target("own")) as datastore:
        before = await poll(datastore, "statements")
        own.psql(f"{statement}; SELECT inside(); SELECT inside()", "app")
        after = await poll(datastore, "statements")

    assert entries == [("f",), ("t",)]
    calls = "pg_stat_statements_calls_total"
    assert number(after, calls, **where) - number(before, calls, **where) == 3


async def test_five_thousand_statements_make_a_hundred_series(servers: Servers) -> None:
    """Whichever statements enter and leave, the members and `other` grow by what the total grows."""
    with servers.private_postgres("16") as server:
        async with opened(server.target("large")) as datastore, simple(server) as connection:
            for shape in range(4_800):
                await connection.execute(distinct(shape))
            first = await poll(datastore, "statements", "statements_info")
            for shape in range(0, 4_800, 3):
                await connection.execute(distinct(shape))
            second = await poll(datastore, "statements")
            third = await poll(datastore, "statements")

    assert number(first, "pg_stat_statements_entries") > 4_800
    assert total(first) == 0
    assert total(second) == 1_600
    assert increases(first, second, "pg_stat_statements_calls_total") == 1_600
    assert increases(second, third, "pg_stat_statements_calls_total") == 0
    assert 50 < len(second.samples["pg_stat_statements_calls_total"]) <= 100 + 3


async def test_role_that_sees_only_its_statements_counts_only_those(own: Postgres) -> None:
    """The others' have no queryid then; that they are hidden is said where privileges are."""
    own.psql("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    settings = own.target("db", url=own.url.replace("monitor@", "plain@"), password="plain")
    async with opened(settings) as datastore:
        await poll(datastore, "statements", "slow_statements")
        own.psql("SELECT count(*) FROM orders", "app")
        after = await poll(datastore, "statements", "slow_statements")

    users = {dict(labels)["user"] for labels in after.samples["pg_stat_statements_calls_total"]}
    assert "pg_read_all_stats" in after.info.missing_privileges
    assert users == {"plain", ""}
    assert total(after, datname="postgres") > 0
    assert after.value("pg_statements_calls_total", user="", datname="app", queryid="") is None


async def test_statement_that_is_always_slow_is_shown_however_rare(own: Postgres) -> None:
    """By name from five calls on; how many are slow counts any, one that was called once, too."""
    async with opened(own.target("own")) as datastore, simple(own) as connection:
        nothing = await poll(datastore, "slow_statements")
        for _ in range(5):
            await connection.execute("SELECT pg_sleep(0.12) AS five_times")
        for _ in range(4):
            await connection.execute("SELECT pg_sleep(0.15) AS four_times, 4")
        await connection.execute("SELECT pg_sleep(1.05) AS once, 'and', 'long'")
        for _ in range(500):
            await connection.execute("SELECT 1 AS often, 2, 3")
        slow = await poll(datastore, "slow_statements")
    [(queryid, mean)] = own.psql(
        "SELECT queryid, mean_exec_time / 1000 FROM pg_stat_statements WHERE query LIKE '%five_times'"
    )
    where = {"user": "postgres", "datname": "app", "queryid": queryid, "threshold": ""}

    assert nothing.samples["pg_statements_slow"] == {}  # of the first poll nothing can be said
    assert number(slow, "pg_slow_statements_mean_seconds", **where) == pytest.approx(float(mean))
    assert number(slow, "pg_slow_statements_mean_seconds", **where) >= 0.12
    assert number(slow, "pg_slow_statements_calls", **where) == 5
    named = {dict(labels)["queryid"] for labels in slow.samples["pg_slow_statements_calls"]}
    assert queryid_of(own, "SELECT 1 AS often".replace("1", "$1")) in named
    assert queryid_of(own, "SELECT pg_sleep($1) AS four_times") not in named
    assert slow_count(slow, "0.1") == 3
    assert slow_count(slow, "1") == 1
    assert slow_count(slow, "1", "postgres") == 0


async def test_a_pass_reads_the_view_once(own: Postgres) -> None:
    async with opened(own.target("own")) as datastore:
        await poll(datastore, "statements", "slow_statements")
        own.psql("SELECT pg_stat_statements_reset()")
        await poll(datastore, "statements", "slow_statements")
        [(calls,)] = own.psql("SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE '%pg_get_userbyid(userid)%'")

    assert calls == "1"


def distinct(shape: int) -> str:
    """Return a statement that differs from those of other shapes in more than constants."""
    return f"SELECT {'1, ' * (shape % 80)} 1 WHERE {'1 = 1 AND ' * (shape // 80)} 1 = 1"


def slow_count(collected: Collected, threshold: str, datname: str = "app") -> float:
    return number(collected, "pg_statements_slow", user="", datname=datname, queryid="", threshold=threshold)
