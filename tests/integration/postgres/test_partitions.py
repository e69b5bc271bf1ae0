"""Partitions that run out, that are never dropped, that are missing."""

import itertools
import math
from collections.abc import Iterator

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.postgres_polls import client, eventually
from tests.support.postgres_scratch import Scratch, Seen, scratch


@pytest.fixture(scope="module", params=["14", "16", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, {"TimeZone": "Asia/Tokyo"}) as server:
        yield server


def partition(table: str, number: int, lower: str, upper: str) -> str:
    """Make a partition of bounds that are SQL expressions."""
    return (
        f"DO $$ BEGIN EXECUTE format('CREATE TABLE {table}_{number} PARTITION OF {table} "
        f"FOR VALUES FROM (%L) TO (%L)', {lower}, {upper}); END $$;"
    )


def monthly(table: str, kind: str) -> str:
    """Partition by month, from 13 months ago to the end of this one, in UTC."""
    month = "date_trunc('month', now() AT TIME ZONE 'UTC')"
    bounds = [f"({month} + interval '{n} months')::timestamp" for n in range(-13, 2)]
    lines = [partition(table, n, *pair) for n, pair in enumerate(itertools.pairwise(bounds))]
    return f"SET TimeZone = 'UTC'; CREATE TABLE {table} (at {kind}) PARTITION BY RANGE (at);" + "".join(lines)


def value(seen: Seen, metric: str, table: str) -> float | None:
    return seen.value(metric, schemaname="public", relname=table)


def epoch(database: Scratch, months: int) -> float:
    [(seconds,)] = database.psql(
        "SET TimeZone = 'UTC'; "
        f"SELECT extract(epoch FROM date_trunc('month', now()) + interval '{months} months')::float8"
    )
    return float(seconds)


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
async def test_next_months_partition_is_absent_and_last_years_still_there(server: Postgres, kind: str) -> None:
    async with scratch(server, monthly("events", kind)) as database:
        seen = await database.poll("partitions")
        last, oldest = epoch(database, 1), epoch(database, -13)
        [(now,)] = database.psql("SELECT extract(epoch FROM now())::float8")

    assert value(seen, "pg_partitions", "events") == 14
    assert value(seen, "pg_partition_last_bound_timestamp_seconds", "events") == last
    assert value(seen, "pg_partition_headroom_seconds", "events") == pytest.approx(last - float(now), abs=60)
    assert value(seen, "pg_partition_oldest_bound_timestamp_seconds", "events") == oldest
    assert value(seen, "pg_partition_default_rows", "events") is None


async def test_a_locked_partition_changes_nothing(server: Postgres) -> None:
    """Reading its bound by the usual function would wait."""
    async with scratch(server, monthly("events", "date")) as database:
        before = await database.poll("partitions")
        async with client(server, database.name) as holder:
            await holder.execute("BEGIN; LOCK TABLE events, events_13 IN ACCESS EXCLUSIVE MODE")
            during = await database.poll("partitions")
            tables = await database.poll("partitioned_tables")

    bound = "pg_partition_last_bound_timestamp_seconds"
    assert value(during, bound, "events") == value(before, bound, "events")
    assert value(during, "pg_partitions", "events") == 14
    assert tables.value("pg_partitioned_tables") == 1


async def test_rows_in_the_default_partition_are_counted(server: Postgres) -> None:
    setup = """
    CREATE TABLE events (at date) PARTITION BY RANGE (at);
    CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE events_rest PARTITION OF events DEFAULT;
    """
    async with scratch(server, setup) as database:
        empty = await database.poll("partitions")
        database.psql("INSERT INTO events VALUES ('2020-05-05'), ('2021-05-05'), ('2022-05-05')")
        where = {"datname": database.name, "schemaname": "public", "relname": "events"}
        await eventually(
            database.datastore, "partitions", lambda now: now.value("pg_partition_default_rows", **where) == 2
        )

    assert value(empty, "pg_partition_default_rows", "events") == 0
    assert value(empty, "pg_partitions", "events") == 2
    assert value(empty, "pg_partition_last_bound_timestamp_seconds", "events") == 1609459200
    assert (value(empty, "pg_partition_headroom_seconds", "events") or 0) < 0


async def test_bounds_without_end_are_infinite_and_without_beginning_no_age(server: Postgres) -> None:
    setup = """
    CREATE TABLE events (at timestamptz) PARTITION BY RANGE (at);
    CREATE TABLE events_past PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2020-01-01+00');
    CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01+00') TO ('2021-01-01+00');
    CREATE TABLE events_future PARTITION OF events FOR VALUES FROM ('2021-01-01+00') TO (MAXVALUE);
    """
    async with scratch(server, setup) as database:
        seen = await database.poll("partitions")

    assert value(seen, "pg_partition_last_bound_timestamp_seconds", "events") == math.inf
    assert value(seen, "pg_partition_headroom_seconds", "events") == math.inf
    assert value(seen, "pg_partition_oldest_bound_timestamp_seconds", "events") == 1577836800


async def test_partitions_that_are_no_range_of_time_have_no_headroom(server: Postgres) -> None:
    setup = """
    CREATE TABLE numbers (id int) PARTITION BY RANGE (id);
    CREATE TABLE numbers_1 PARTITION OF numbers FOR VALUES FROM (1) TO (20250101);
    CREATE TABLE towns (town date) PARTITION BY LIST (town);
    CREATE TABLE towns_1 PARTITION OF towns FOR VALUES IN ('2025-01-01');
    CREATE TABLE pairs (at date, id int) PARTITION BY RANGE (at, id);
    CREATE TABLE pairs_1 PARTITION OF pairs FOR VALUES FROM ('2020-01-01', 1) TO ('2020-01-01', 9);
    CREATE TABLE years (at date) PARTITION BY RANGE (extract(year FROM at));
    CREATE TABLE years_1 PARTITION OF years FOR VALUES FROM (2020) TO (2021);
    """
    async with scratch(server, setup) as database:
        seen = await database.poll("partitions")

    for table in ("numbers", "towns", "pairs", "years"):
        assert value(seen, "pg_partitions", table) == 1
    assert seen.collected.samples["pg_partition_headroom_seconds"] == {}
    assert seen.collected.samples["pg_partition_oldest_bound_timestamp_seconds"] == {}


async def test_a_range_inside_a_range_is_meant_to_end(server: Postgres) -> None:
    setup = """
    CREATE TABLE events (at date) PARTITION BY RANGE (at);
    CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')
        PARTITION BY RANGE (at);
    CREATE TABLE events_2020_1 PARTITION OF events_2020 FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
    CREATE TABLE tenants (at date, tenant int) PARTITION BY LIST (tenant);
    CREATE TABLE tenants_1 PARTITION OF tenants FOR VALUES IN (1) PARTITION BY RANGE (at);
    CREATE TABLE tenants_1_1 PARTITION OF tenants_1 FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
    """
    async with scratch(server, setup) as database:
        seen = await database.poll("partitions")

    bounds = seen.collected.samples["pg_partition_last_bound_timestamp_seconds"]
    assert {dict(labels)["relname"] for labels in bounds} == {"events", "tenants_1"}


async def test_a_partitioned_table_without_partitions_is_named(server: Postgres) -> None:
    setup = """
    CREATE TABLE empty (at date) PARTITION BY RANGE (at);
    CREATE TABLE filled (at date) PARTITION BY RANGE (at);
    CREATE TABLE filled_rest PARTITION OF filled DEFAULT;
    """
    async with scratch(server, setup) as database:
        seen = await database.poll("partitioned_tables")
        partitions = await database.poll("partitions")

    assert seen.value("pg_partitioned_tables") == 2
    assert seen.value("pg_partitioned_tables_without_partitions") == 1
    assert seen.names == ("public.empty",)
    assert value(partitions, "pg_partitions", "empty") == 0
