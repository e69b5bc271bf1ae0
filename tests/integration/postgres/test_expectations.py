"""What is expected of a PostgreSQL, met and broken: in the check of /health, in the metric and in words."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from exporter.polling.execution import QueryRun, execute_query
from exporter.settings import read_queries
from exporter.state.checks import checks
from exporter.state.events import Instant, MonitoredTarget, Ping
from exporter.state.snapshot import Snapshot
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import target_of
from tests.support.postgres_polls import opened

SETUP = """
CREATE SCHEMA audit;
CREATE TABLE audit.log (id int, note text);
CREATE TABLE "odd.Name" (id int);
CREATE VIEW a_view AS SELECT 1 AS one;
CREATE UNIQUE INDEX log_id_idx ON audit.log (id);
CREATE TABLE tenants (id int);
CREATE TABLE open_to_all (id int);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE TABLE alembic_version (version_num text);
INSERT INTO alembic_version VALUES ('ae1027a6acf');
CREATE TABLE days (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE days_kept PARTITION OF days FOR VALUES FROM (now() - interval '3 days') TO (now() + interval '10 days');
CREATE TABLE days_rest PARTITION OF days DEFAULT;
CREATE TABLE keys (id int) PARTITION BY RANGE (id);
CREATE TABLE for_ever (at date, id int) PARTITION BY RANGE (at, id);
CREATE TABLE for_ever_1 PARTITION OF for_ever FOR VALUES FROM (MINVALUE, MINVALUE) TO ('2020-01-01', 0);
CREATE TABLE for_ever_2 PARTITION OF for_ever FOR VALUES FROM ('2020-01-01', 0) TO (MAXVALUE, MAXVALUE);
"""
STRANGER = "CREATE ROLE stranger LOGIN PASSWORD 'monitor-secret'"


class Outcome(NamedTuple):
    """What /health says of an expectation, and what its metric counts."""

    status: str
    broken: float
    findings: tuple[str, ...]


@pytest.fixture(scope="module", params=["14", "15", "16", "17", "18"])
def server(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param) as server:
        for statement in SETUP.strip().split(";\n"):
            server.psql(statement, "app")
        server.psql(STRANGER)
        server.psql("CREATE DATABASE closed")
        server.psql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        server.psql("CREATE DATABASE no_entry ALLOW_CONNECTIONS false")
        yield server


async def outcome(server: Postgres, kind: str, expected: object, user: str = "monitor") -> Outcome:
    """Ask as the poller does, of a server of which this one thing is expected."""
    settings: dict[str, Any] = server.target("db", expect={kind: expected})
    settings["url"] = settings["url"].replace("monitor@", f"{user}@")
    [query] = [query for query in read_queries(["postgres"]) if query.name == f"expected_{kind}"]
    assert query.when.wanted(target_of(settings))
    assert query.health is not None
    watched = MonitoredTarget("db", "postgres", 15.0)
    now = Instant(time.time(), time.monotonic())
    snapshot = Snapshot([watched], now)
    async with opened(settings) as datastore:
        info = await datastore.ping()
        async with datastore.session("slow") as session:
            result = await execute_query(QueryRun(watched, query, None, info, query.timeout), session, datastore)
    assert result.error is None
    snapshot.apply(Ping("db", now.wall, now.monotonic + 60, 0.001, info))
    snapshot.apply(result)
    [check] = [check for check in checks(snapshot.known("db", now.monotonic)) if check.name == query.health.check]
    [value] = result.families[0].values
    assert isinstance(value, float)
    assert check.value == value
    assert check.output == (", ".join(result.findings) or None)
    return Outcome(check.status, value, result.findings)


MET = Outcome("pass", 0.0, ())


async def test_settings_are_compared_as_the_server_reads_them(server: Postgres) -> None:
    same = {
        "wal_level": "Replica",
        "shared_buffers": "16MB",
        "max_connections": 50,
        "fsync": False,
        "autovacuum": True,
        "checkpoint_timeout": "5min",
        "autovacuum_vacuum_cost_delay": "2000us",
        "random_page_cost": 4,
        "shared_preload_libraries": ["pg_stat_statements"],
        "pg_stat_statements.max": 5000,
        "listen_addresses": "127.0.0.1",
    }
    other = {
        "wal_level": "logical",
        "shared_buffers": "4GB",
        "fsync": True,
        "checkpoint_timeout": "300kB",
        "max_conections": 200,
        "listen_addresses": "10.1.2.3",
        "lock_timeout": "1s",
    }

    assert await outcome(server, "settings", same) == MET
    assert await outcome(server, "settings", other) == Outcome(
        "warn",
        7.0,
        (
            "wal_level is replica, expected logical",
            "shared_buffers is 16MB, expected 4GB",
            "fsync is off, expected on",
            "checkpoint_timeout is 5min, expected 300kB, which is no value for it",
            "max_conections is no setting of this server",
            "listen_addresses is not as expected",
            "lock_timeout cannot be checked: the exporter's sessions or its role have a value of their own",
        ),
    )


async def test_a_setting_that_waits_for_a_restart_says_so(server: Postgres) -> None:
    server.psql("ALTER SYSTEM SET max_wal_senders = 7")
    server.psql("SELECT pg_reload_conf(), pg_sleep(0.5)")

    found = await outcome(server, "settings", {"max_wal_senders": 7})
    server.psql("ALTER SYSTEM RESET max_wal_senders")
    server.psql("SELECT pg_reload_conf()")

    assert found.findings == ("max_wal_senders is 10, expected 7, a restart is pending",)


async def test_a_setting_that_may_not_be_seen_is_no_pass(server: Postgres) -> None:
    found = await outcome(server, "settings", {"shared_preload_libraries": "pg_stat_statements"}, user="stranger")

    reason = "is no setting of this server, or none to be seen without pg_read_all_settings"
    assert found == Outcome("warn", 1.0, (f"shared_preload_libraries {reason}",))


async def test_extensions_are_there_in_their_versions(server: Postgres) -> None:
    installed = {"pg_stat_statements": "1.9", "plpgsql": ">=1.0,<2", "app:plpgsql": "0"}

    assert await outcome(server, "extensions", installed) == MET
    found = await outcome(server, "extensions", {"pg_stat_statements": "9.1", "app:pg_stat_statements": "1.9"})
    assert (found.status, found.broken) == ("warn", 2.0)
    assert found.findings[0].endswith(", expected >=9.1")
    assert found.findings[1] == "app:pg_stat_statements is not installed"


async def test_tables_are_found_in_their_databases(server: Postgres) -> None:
    assert (
        await outcome(server, "tables", ["app:customers", "app:audit.log", "app:odd.Name", "app:public.odd.Name"])
        == MET
    )
    wrong = ["customers", "app:audit.customers", "app:a_view", "app:pg_class", "shop:orders", "closed:t", "no_entry:t"]
    assert await outcome(server, "tables", wrong) == Outcome(
        "warn",
        7.0,
        (
            "customers is no table",
            "app:audit.customers is no table",
            "app:a_view is no table",
            "app:pg_class is no table",
            "shop:orders cannot be looked for: there is no such database",
            "closed:t cannot be looked for: the privilege CONNECT on the database is missing",
            "no_entry:t cannot be looked for: the database takes no connections",
        ),
    )


async def test_an_index_is_there_and_valid(server: Postgres) -> None:
    names = ["app:orders_customer_id_idx", "app:audit.log_id_idx"]
    assert await outcome(server, "indexes", names) == MET

    server.psql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audit.log_id_idx'::regclass", "app")
    found = await outcome(server, "indexes", [*names, "app:customers"])
    server.psql("UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'audit.log_id_idx'::regclass", "app")

    assert found == Outcome("warn", 2.0, ("app:customers is no index", "app:audit.log_id_idx is invalid"))


async def test_row_level_security_is_on(server: Postgres) -> None:
    assert await outcome(server, "row_level_security", ["app:tenants"]) == MET
    assert await outcome(server, "row_level_security", ["app:public.open_to_all", "app:gone"]) == Outcome(
        "warn", 2.0, ("app:gone is no table", "app:public.open_to_all has no row-level security")
    )


async def test_partitions_reach_ahead_and_do_not_stay(server: Postgres) -> None:
    """Even of a table that holds other kinds of bounds, or none."""
    met = {"app:days": {"ahead": "9d", "retention": "1d"}, "app:for_ever": {"ahead": "9000d"}, "app:keys": {}}
    assert await outcome(server, "partitioned_tables", met) == MET

    found = await outcome(
        server,
        "partitioned_tables",
        {
            "app:days": {"ahead": "30d"},
            "app:for_ever": {"retention": "400d"},
            "app:keys": {"ahead": "1d"},
            "app:customers": {},
            "app:gone": {},
        },
    )
    assert found == Outcome(
        "warn",
        5.0,
        (
            "app:days reaches 10.0 days ahead, expected 30",
            "app:for_ever has partitions older than 400 days: 1, the oldest is for_ever_1",
            "app:keys is not partitioned by ranges of time: how far they reach cannot be checked",
            "app:customers is no partitioned table",
            "app:gone is no table",
        ),
    )


async def test_partitions_have_run_out(server: Postgres) -> None:
    server.psql("CREATE TABLE past (at date) PARTITION BY RANGE (at)", "app")
    none = await outcome(server, "partitioned_tables", {"app:past": {"ahead": "1d", "retention": "1d"}})
    server.psql("CREATE TABLE past_1 PARTITION OF past FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')", "app")
    [(days,)] = server.psql("SELECT extract(epoch FROM timestamptz '2024-02-01 00:00Z' - now()) / 86400")
    old = await outcome(server, "partitioned_tables", {"app:past": {"ahead": "1d"}})

    assert none.findings == ("app:past has no bounds, expected 1",)
    assert old.findings == (f"app:past reaches {float(days):.1f} days ahead, expected 1",)


async def test_the_version_of_the_schema(server: Postgres) -> None:
    there = {"table": "app:public.alembic_version", "column": "version_num", "value": "ae1027a6acf"}
    refused = await outcome(server, "schema_version", there)
    server.psql("GRANT SELECT ON alembic_version TO monitor", "app")

    assert refused == Outcome(
        "warn",
        1.0,
        ("app:public.alembic_version cannot be read: the privileges SELECT on it and USAGE on its schema are missing",),
    )
    assert await outcome(server, "schema_version", there) == MET
    for change, drift in (
        ({"value": "0"}, "app:public.alembic_version has no version_num 0"),
        ({"column": "version"}, "app:public.alembic_version has no column version"),
        ({"table": "alembic_version"}, "alembic_version is no table"),
    ):
        assert await outcome(server, "schema_version", there | change) == Outcome("warn", 1.0, (drift,))


@pytest.mark.parametrize("version", ["14", "18"])
async def test_role_and_replicas(servers: Servers, version: str) -> None:
    """A replica is asked for its role, and for no replicas of its own; a logical subscriber is none."""
    with servers.private_postgres(version, {"wal_level": "logical"}) as primary, primary.replica().start() as replica:
        assert await outcome(primary, "role", "primary") == await outcome(replica, "role", "replica") == MET
        assert await outcome(replica, "role", "primary") == Outcome("fail", 1.0, ("is replica, expected primary",))
        assert await outcome(primary, "replicas", 1) == MET
        assert await outcome(primary, "replicas", 3) == Outcome("warn", 2.0, ("1 stream, expected 3",))
        primary.psql(STRANGER)
        unseen = "0 stream, expected 1, 1 cannot be told without pg_read_all_stats"
        assert await outcome(primary, "replicas", 1, user="stranger") == Outcome("warn", 1.0, (unseen,))
        replica.stop()
        assert await outcome(primary, "replicas", 1) == Outcome("warn", 1.0, ("0 stream, expected 1",))
