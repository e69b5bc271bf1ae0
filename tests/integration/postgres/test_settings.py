"""Settings of real servers: as numbers in base units, as what is written for them, and not in force yet."""

from collections.abc import Iterator

import asyncpg
import pytest

from exporter.datastores.postgres.operations.settings import Setting, base_value, meets
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import collect, collect_from
from tests.support.postgres_polls import client, eventually, opened, poll

VERSIONS = ("14", "15", "16", "17", "18")
pytestmark = pytest.mark.servers(*(f"postgres:{version}" for version in VERSIONS))

# The exporter's sessions have values of their own for these, as far as they are numbers or switches.
OWN = {
    "default_transaction_read_only", "idle_in_transaction_session_timeout", "jit", "lock_timeout", "statement_timeout",
    "tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval", "transaction_deferrable",
    "transaction_read_only",
}  # fmt: skip
# What is written for a setting; where the server takes it, it must be the same to us, and else no value at all.
WRITTEN = {
    "work_mem": (
        "4MB", "1GB", "0.1GB", "30.1MB", "65536", "64kB", "65.7kB", "1e3", "0x100", "0400", " 4 MB ", "70000B", "4mb",
        "4XB", "1TB", "2.5TB", "three",
    ),
    "backend_flush_after": ("16kB", "2", "1MB", "8191B", "0.0001GB"),
    "temp_buffers": ("800kB", "100", "8MB", "8.05MB"),
    "log_temp_files": ("-1", "0", "10MB", "10"),
    "lock_timeout": ("1s", "1.5s", "1min", "1h", "0.1h", "1d", "1500us", "500us", "2500", "10 s", "5m", "1.0001s"),
    "vacuum_cost_delay": ("2ms", "500us", "0.5", "1.23456ms", "0.0015s", "2kB"),
    "random_page_cost": ("1.1", "4", "1.123456789", "1e1", "4ms"),
    "geqo_seed": ("0.5", ".5", "5e-1", "0."),
    "extra_float_digits": ("3", "-15", "0x2"),
    "enable_seqscan": ("on", "off", "true", "f", "t", "0", "1", "yes", "N", "o", "of", "ON", "maybe"),
    "synchronous_commit": ("on", "OFF", "true", "1", "0", "local", "remote_apply"),
    "constraint_exclusion": ("partition", "true", "off", "no"),
    "client_min_messages": ("debug", "NOTICE", "debug2", "info"),
    "log_min_messages": ("debug", "error"),
    "wal_compression": ("on", "off", "true", "pglz", "0"),
    "search_path": ('"$user", public', "app"),
}  # fmt: skip


@pytest.fixture(scope="module")
def changed(servers: Servers) -> Iterator[Postgres]:
    """Give a server whose settings the tests change."""
    with servers.private_postgres("18") as server:
        yield server


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_number_and_switch_is_published(servers: Servers, version: str) -> None:
    """A setting of a new version that is not added here fails this."""
    server = servers.postgres(version)
    elsewhere = {"max_connections", "reserved_connections", "superuser_reserved_connections", "wal_summary_keep_time"}
    declared = {
        metric.value for query in read_queries(["postgres"]) if query.name == "settings" for metric in query.metrics
    }
    there = server.psql("SELECT name FROM pg_settings WHERE vartype IN ('bool', 'integer', 'real')", user="monitor")
    collected = await collect(server.target("db"), only=["settings"])

    missing = {name for (name,) in there} - declared
    assert missing == (OWN | elsewhere) & {name for (name,) in there}
    assert collected.failures == {}
    assert collected.series["settings"] == len(there) - len(missing) + 1  # archive_mode, a choice of three


@pytest.mark.parametrize("version", VERSIONS)
async def test_settings_are_in_base_units(servers: Servers, version: str) -> None:
    collected = await collect(servers.postgres(version).target("db"), only=["settings"])

    assert {name: collected.value(f"pg_settings_{name}") for name in (
        "shared_buffers_bytes", "wal_segment_size_bytes", "checkpoint_timeout_seconds", "deadlock_timeout_seconds",
        "autovacuum_vacuum_cost_delay_seconds", "log_rotation_age_seconds", "temp_file_limit_bytes",
        "log_min_duration_statement_seconds", "random_page_cost", "fsync", "track_io_timing", "archive_mode",
        "log_file_mode", "pg_stat_statements_max", "max_pred_locks_per_relation",
    )} == {
        "shared_buffers_bytes": 16 * 2**20, "wal_segment_size_bytes": 16 * 2**20, "checkpoint_timeout_seconds": 300,
        "deadlock_timeout_seconds": 1, "autovacuum_vacuum_cost_delay_seconds": 0.002,
        "log_rotation_age_seconds": 86400, "temp_file_limit_bytes": -1, "log_min_duration_statement_seconds": -1,
        "random_page_cost": 4, "fsync": 0, "track_io_timing": 1, "archive_mode": 0, "log_file_mode": 600,
        "pg_stat_statements_max": 5000, "max_pred_locks_per_relation": -2,
    }  # fmt: skip


def test_a_vendors_unit_costs_one_setting() -> None:
    assert base_value(Setting("vendor.size", "5", "furlong", "integer")) is None
    assert base_value(Setting("vendor.pages", "5", "32kB", "integer")) == 5 * 32 * 1024
    assert base_value(Setting("vendor.number", "five", "kB", "integer")) is None
    assert meets(Setting("vendor.size", "5", "furlong", "integer"), "5") is True
    assert meets(Setting("vendor.size", "5", "furlong", "integer"), "5kB") is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_expected_text_of_a_setting_matches_what_the_server_makes_of_it(servers: Servers, version: str) -> None:
    """The server is given each text: the value it then has must be as expected; what it refuses never is."""
    reading = "SELECT name, setting, unit, vartype FROM pg_settings WHERE name = $1"
    wrong = []
    async with client(servers.postgres(version)) as connection:
        for name, texts in WRITTEN.items():
            for text in texts:
                try:
                    await connection.execute("SELECT set_config($1, $2, false)", name, text)
                    taken = True
                except asyncpg.InvalidParameterValueError:
                    taken = False
                row = await connection.fetchrow(reading, name)
                if (meets(Setting(*row.values()), text) is True) != taken:
                    wrong.append((name, text, taken, dict(row)))

    assert wrong == []


async def test_a_role_with_a_setting_of_its_own_publishes_none_for_all(changed: Postgres) -> None:
    changed.psql("ALTER ROLE monitor SET work_mem = '64MB'")
    own = await collect(changed.target("db"), only=["settings"])
    changed.psql("ALTER ROLE monitor RESET work_mem")
    common = await collect(changed.target("db"), only=["settings"])

    assert own.value("pg_settings_work_mem_bytes") is None
    assert common.value("pg_settings_work_mem_bytes") == 4 * 2**20


async def test_settings_pending_a_restart_are_counted_and_named(changed: Postgres) -> None:
    async with opened(changed.target("db")) as datastore:
        before = await poll(datastore, "pending_restart")
        changed.psql("ALTER SYSTEM SET max_connections = 60")
        changed.psql("ALTER SYSTEM SET shared_buffers = '24MB'")
        changed.psql("SELECT pg_reload_conf()")
        pending = await eventually(
            datastore, "pending_restart", lambda now: now.value("pg_settings_pending_restart") == 2
        )
        changed.psql("ALTER SYSTEM RESET ALL")
        changed.psql("SELECT pg_reload_conf()")
        await eventually(datastore, "pending_restart", lambda now: now.value("pg_settings_pending_restart") == 0)

    assert before.value("pg_settings_pending_restart") == 0
    assert pending.findings["pending_restart"] == ("max_connections", "shared_buffers")


async def test_a_broken_configuration_file_shows_where_it_may_be_read(changed: Postgres) -> None:
    refused = await collect(changed.target("db"), only=["conf_load_error"])
    changed.psql("GRANT SELECT ON pg_file_settings TO monitor")
    changed.psql("GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO monitor")
    async with opened(changed.target("db")) as datastore:
        good = await poll(datastore, "conf_load_error")
        with (changed.data / "server.conf").open("a") as file:
            file.write("work_mem = 'plenty'\n")
        broken = await poll(datastore, "conf_load_error")
    restored = (changed.data / "server.conf").read_text().splitlines(keepends=True)[:-1]
    (changed.data / "server.conf").write_text("".join(restored))

    reason = "needs SELECT on pg_file_settings and EXECUTE on pg_show_all_file_settings(), beyond pg_monitor"
    assert refused.info.capabilities["pg_file_settings"] == reason
    assert refused.unsupported == {"conf_load_error": f"unsupported: {reason}"}
    assert good.value("pg_conf_load_errors") == 0
    assert broken.value("pg_conf_load_errors") == 1
    assert broken.findings == {"conf_load_error": ("work_mem",)}


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_disk_is_as_full_as_its_size_says(servers: Servers, version: str) -> None:
    server = servers.postgres(version)

    async def disk(size: str) -> tuple[str | None, float, float]:
        async with opened(server.target("db", disk_size=size)) as datastore:
            found = await collect_from(datastore, "postgres", ["disk"])
        assert found.failures == {}
        used = found.value("pg_disk_used_bytes")
        ratio = found.value("datatier_saturation_ratio", resource="disk")
        assert used is not None
        assert ratio is not None
        return found.statuses.get("diskSpace"), used, ratio

    [(databases, wal)] = server.psql(
        "SELECT (SELECT sum(pg_database_size(oid)) FROM pg_database), (SELECT sum(size) FROM pg_ls_waldir())"
    )
    status, used, ratio = await disk("1TiB")

    assert status == "pass"
    assert int(databases) + int(wal) <= used <= (int(databases) + int(wal)) * 1.2  # with the shared catalogues
    assert ratio == used / 2**40
    assert (await disk(f"{round(used / 0.85)}"))[0] == "warn"
    assert (await disk(f"{round(used / 0.95)}"))[0] == "fail"
