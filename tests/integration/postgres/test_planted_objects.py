"""Databases of people who mean harm: none of what they plant is called by us, and no answer changes."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.datastores.postgres import session_settings
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected, collect_from
from tests.support.paths import ROOT
from tests.support.planting import bend, called, make_table, operators, plant, ran
from tests.support.postgres_polls import opened

EXTENSIONS = "CREATE EXTENSION pgstattuple; CREATE EXTENSION pg_buffercache; CREATE EXTENSION pg_stat_statements"
# Version 1.8 has no pg_stat_statements_info: one that a user makes beside it is not the extension's.
OLD = " VERSION '1.8'"
NOT_THE_EXTENSIONS = """
SET SESSION AUTHORIZATION tenant;
SET search_path = public, pg_catalog;
CREATE FUNCTION pg_stat_statements_info(OUT dealloc bigint, OUT stats_reset timestamptz) LANGUAGE plpgsql AS
    $$BEGIN RAISE LOG 'planted code ran: pg_stat_statements_info'; END$$;
CREATE VIEW pg_stat_statements_info AS SELECT * FROM pg_stat_statements_info();
"""
EXPECT: dict[str, Any] = {
    "role": "primary",
    "settings": {"wal_level": "replica", "max_connections": "50"},
    "extensions": {"pg_stat_statements": "1.8", "pgstattuple": "1.5"},
    "tables": ["public.orders", "customers"],
    "indexes": ["orders_customer_id_idx"],
    "partitioned_tables": {"years": {"ahead": "30d", "retention": "400d"}},
    "row_level_security": ["public.orders"],
    "replicas": 1,
    "schema_version": {"table": "alembic_version", "column": "version_num", "value": "7"},
}
APP = """
CREATE TABLE alembic_version (version_num text);
INSERT INTO alembic_version VALUES ('7');
CREATE TABLE years (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE years_1 PARTITION OF years FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
GRANT SELECT ON alembic_version TO monitor;
"""
# Series that nothing but these databases' content and the server's settings change.
STEADY = (
    "database_connection_limit", "databases", "expected_extensions", "expected_indexes",
    "expected_partitioned_tables", "expected_replicas", "expected_role", "expected_row_level_security",
    "expected_schema_version", "expected_settings", "expected_tables", "extensions", "foreign_keys",
    "indexes_duplicate", "indexes_invalid", "indexes_redundant", "large_tables", "materialized_views",
    "partitioned_tables", "partitions", "pending_restart", "postmaster", "prepared_xacts", "primary_keys", "progress",
    "replication_slots", "roles", "row_security", "sequences", "sequences_unreadable", "static", "sync_standbys",
)  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """A server whose databases are a tenant's, and what they said before that one began."""

    server: Postgres
    clean: Collected


OPTIONS: dict[str, Any] = {"sample_activity": True, "statement_texts": True, "disk_size": "1TiB", "expect": EXPECT}
ALL = [query.name for query in read_queries(["postgres"]) if query.when.configured != "patroni"]


async def everything(target: dict[str, Any], *only: str) -> Collected:
    """Run all there is: ping, facts, each query and operation in each database, a step of the sampler, a login."""
    async with opened(target) as datastore:
        await datastore.ping()
        sampled = [query for query in read_queries(["postgres"]) if query.step_every is not None]
        async with datastore.session("sampler") as session:
            for query in sampled:
                await session.fetch(query)
        return await collect_from(datastore, "postgres", only or ALL)


@pytest.fixture(scope="module", params=["14", "18"])
async def hostile(servers: Servers, request: pytest.FixtureRequest) -> AsyncIterator[Hostile]:
    """On 14 any role may create in public; since 15 only the owner of the database may."""
    with servers.private_postgres(request.param, {"log_line_prefix": "%u "}) as server:
        server.psql("CREATE ROLE tenant")
        server.psql(EXTENSIONS + (OLD if request.param == "14" else "") + ";" + APP, "app")
        if request.param != "14":
            own(server)
        make_table(server, "app", "tenant")
        clean = await everything(at_home(server.target("db")))
        assert all(number > 10 for number in plant(server, "app", "tenant"))
        if request.param == "14":
            server.psql(NOT_THE_EXTENSIONS, "app")
        yield Hostile(server, clean)


@pytest.fixture(scope="module")
def bent(hostile: Hostile) -> Hostile:
    """Let the tenant own the databases, and set there what changes answers."""
    own(hostile.server)
    bend(hostile.server, "app", "tenant")
    return hostile


def own(server: Postgres) -> None:
    server.psql("ALTER DATABASE app OWNER TO tenant")


def at_home(target: dict[str, Any]) -> dict[str, Any]:
    """Log in to the database where all of it is, and visit no other."""
    url = str(target["url"]).removesuffix("postgres") + "app"
    return {**target, **OPTIONS, "url": url, "databases": {"include": ["app"]}}


def test_planted_objects_cover_what_the_queries_use() -> None:
    assert {"format", "quote_ident", "pg_is_in_recovery", "pg_get_expr", "oidvectortypes", "array_agg"} <= called()
    assert {"=", "||", "~", "!~", "->>", "<>"} <= operators()


async def test_tighter_functions_are_not_called(hostile: Hostile) -> None:
    unchanged(hostile, await everything(at_home(hostile.server.target("db"))))


async def test_settings_of_a_database_change_no_result(bent: Hostile) -> None:
    """With the search path that it sets, everything planted would come first."""
    unchanged(bent, await everything(at_home(bent.server.target("db"))))


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_nor_through_a_pooler(servers: Servers, bent: Hostile, mode: str) -> None:
    with servers.private_pgbouncer(bent.server, {"pool_mode": mode}) as bouncer:
        unchanged(bent, await everything(at_home(bouncer.server_target("db"))))


def test_nor_by_check(bent: Hostile, tmp_path: Path) -> None:
    config = tmp_path / "datatier.yaml"
    config.write_text(yaml.safe_dump({"targets": [at_home(bent.server.target("db"))]}))
    command = [sys.executable, "-m", "exporter", "check", "--config", str(config)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert ran(bent.server) == []


@pytest.mark.parametrize("path", ["public", "public, pg_catalog"])
async def test_planted_functions_run_without_our_search_path(
    bent: Hostile, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test here: from now on the log records statements."""
    before = len(ran(bent.server))
    monkeypatch.setattr(session_settings, "SEARCH_PATH", path)
    with suppress(Exception):  # what is planted answers nothing
        await everything(at_home(bent.server.target("db")), "static", "oldest_xmin", "largest_indexes")

    assert len(ran(bent.server)) > before


def unchanged(hostile: Hostile, seen: Collected) -> None:
    """Nothing planted ran, all was answered, and what is steady is as it was."""
    clean = hostile.clean
    assert ran(hostile.server) == []
    assert seen.failures == clean.failures == {}
    assert seen.unsupported == clean.unsupported
    assert {name: seen.findings[name] for name in STEADY} == {name: clean.findings[name] for name in STEADY}
    assert steady(seen) == steady(clean)


def steady(collected: Collected) -> dict[str, Any]:
    metrics = [metric.name for query in read_queries(["postgres"]) if query.name in STEADY for metric in query.metrics]
    moving = {"pg_partition_headroom_seconds"}
    return {name: collected.samples[name] for name in metrics if name in collected.samples and name not in moving}
