"""What is in no archive of a real server, and whether the archive is expected."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.config.thresholds import Limit
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.queries.health_rule import CheckOutcome
from exporter.queries.loader import builtin_folder
from testkit.postgres import Postgres
from testkit.postgres_programs import fetch
from testkit.session import Servers
from tests.support.postgres_polls import eventually, opened, poll, until
from tests.support.queries import load_query

QUERY = "archiver_unarchived"
SECONDS = "pg_archiver_unarchived_seconds"
BACKUP = {
    "14": "SELECT pg_start_backup('test', true, false); SELECT pg_stop_backup(false)",
    "18": "SELECT pg_backup_start('test', true); SELECT pg_backup_stop()",
}


@pytest.fixture(scope="module", params=["14", "18"])
def archiving(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """Give a server that archives to nowhere, and nothing else: autovacuum's transactions are transactions, too."""
    settings = {"archive_mode": "on", "archive_command": "true", "autovacuum": "off"}
    with servers.private_postgres(request.param, settings) as server:
        server.psql("CREATE TABLE written (n int, filler text)", "app")
        yield server


def archive(server: Postgres) -> None:
    """Complete the open segment."""
    server.psql("SELECT pg_logical_emit_message(true, 'test', 'x'); SELECT pg_switch_wal()")


async def settle(server: Postgres, datastore: PostgresDatastore) -> None:
    """Archive all there is; before that let the exporter read its pages once, for even that writes some log."""
    await poll(datastore, QUERY, "archiver", "wal_directory")
    archive(server)
    await eventually(datastore, "archiver", lambda now: now.value("pg_archiver_lag_segments") == 0)
    await eventually(datastore, QUERY, lambda now: now.value(SECONDS) == 0)


def write(server: Postgres, rows: int) -> None:
    server.psql(f"INSERT INTO written SELECT n, repeat('x', 1000) FROM generate_series(1, {rows}) AS n", "app")


async def judged(datastore: PostgresDatastore, query: str, **limits: float) -> CheckOutcome:
    """Judge by limits that a test can reach."""
    limit = Limit(warn=limits.get("warn", 900), fail=limits.get("fail", 3600))
    loaded = load_query(builtin_folder() / "postgres" / f"{query}.yaml", "postgres", {"unarchived_seconds": limit})
    await datastore.ping()
    async with datastore.session("fast") as session:
        rows = await session.fetch(loaded)
    [outcome] = loaded.outcomes(rows, loaded.samples(rows))
    return outcome


async def test_log_that_only_the_open_segment_holds_grows_old(archiving: Postgres) -> None:
    """Nothing waits, nothing fails, no segment is complete: and 7.5 MB would be lost."""
    async with opened(archiving.target("db")) as datastore:
        await settle(archiving, datastore)
        write(archiving, 7000)
        seen = await poll(datastore, QUERY, "archiver", "wal_directory")
        older = await eventually(datastore, QUERY, lambda now: (now.value(SECONDS) or 0) > 1.5)
        late = await judged(datastore, QUERY, warn=1)
        lost = await judged(datastore, QUERY, warn=0.5, fail=1)
        archive(archiving)
        done = await eventually(datastore, QUERY, lambda now: now.value(SECONDS) == 0)

    assert 0 < (seen.value(SECONDS) or 0) < 1.5
    assert seen.value("pg_archiver_enabled") == 1
    assert seen.value("pg_archiver_lag_segments") == seen.value("pg_archiver_oldest_ready_seconds") == 0
    assert seen.statuses == older.statuses == done.statuses == {"archiver": "pass"}
    assert (late.status, lost.status) == ("warn", "fail")


async def test_a_server_that_only_keeps_its_books_has_nothing_unarchived(archiving: Postgres) -> None:
    async with opened(archiving.target("db")) as datastore:
        await settle(archiving, datastore)
        [(before,)] = archiving.psql("SELECT pg_current_wal_insert_lsn() - '0/0'")
        values = []
        for _ in range(3):
            archiving.psql("CHECKPOINT; SELECT pg_logical_emit_message(false, 'test', repeat('x', 10000))")
            archiving.psql("VACUUM written", "app")
            values.append((await poll(datastore, QUERY)).value(SECONDS))
        [(after,)] = archiving.psql("SELECT pg_current_wal_insert_lsn() - '0/0'")

    assert values == [0, 0, 0]
    assert float(after) - float(before) > 30_000


async def test_a_backup_on_a_quiet_server_leaves_nothing_unarchived(archiving: Postgres) -> None:
    """The last archived file is the backup's label then, which tells no position."""
    async with opened(archiving.target("db")) as before:
        write(archiving, 100)
        await poll(before, QUERY)
        archiving.psql(BACKUP[archiving.version])
        await until(archiving, "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal LIKE '%.backup'")
        known = await eventually(before, QUERY, lambda now: now.value(SECONDS) == 0)
        async with opened(archiving.target("db")) as after:
            new = await poll(after, QUERY)

    assert known.value(SECONDS) == new.value(SECONDS) == 0


async def test_an_exporter_that_starts_late_counts_from_the_last_archived_file(archiving: Postgres) -> None:
    archive(archiving)
    await until(archiving, "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal ~ '^[0-9A-F]{24}$'")
    await until(archiving, "SELECT 1 FROM pg_stat_archiver WHERE clock_timestamp() - last_archived_time > '1 second'")
    write(archiving, 1000)
    async with opened(archiving.target("db")) as datastore:
        seen = await poll(datastore, QUERY)
    [(age,)] = archiving.psql("SELECT extract(epoch FROM clock_timestamp() - last_archived_time) FROM pg_stat_archiver")

    assert 1 < (seen.value(SECONDS) or 0) <= float(age)


async def test_archiving_that_fails_leaves_the_oldest_segment_unarchived(archiving: Postgres) -> None:
    async with opened(archiving.target("db")) as datastore:
        await settle(archiving, datastore)
        archiving.psql("ALTER SYSTEM SET archive_command = 'false'")
        archiving.psql("SELECT pg_reload_conf()")
        write(archiving, 1000)
        first = await poll(datastore, QUERY)
        archive(archiving)
        await until(archiving, "SELECT 1 FROM pg_stat_archiver WHERE last_failed_time > last_archived_time")
        failing = await poll(datastore, QUERY)
        async with opened(archiving.target("db")) as other:
            unseen = await poll(other, QUERY)
        archiving.psql("ALTER SYSTEM SET archive_command = ''")
        archiving.psql("SELECT pg_reload_conf()")
        without = await eventually(datastore, QUERY, lambda now: now.value("pg_archiver_enabled") == 0)
        warned = await judged(datastore, "archiver_expected")
        archiving.psql("ALTER SYSTEM SET archive_command = 'true'")
        archiving.psql("SELECT pg_reload_conf()")
        archive(archiving)
        done = await eventually(datastore, QUERY, lambda now: now.value(SECONDS) == 0)

    assert 0 < (first.value(SECONDS) or 0) < (failing.value(SECONDS) or 0) < (without.value(SECONDS) or 0)
    assert (unseen.value(SECONDS) or 0) > 0
    assert (warned.status, warned.findings) == (
        "warn", ("archive_mode is on, but neither archive_command nor archive_library is set",),
    )  # fmt: skip
    assert done.value("pg_archiver_enabled") == 1


@pytest.mark.parametrize("version", ["14", "18"])
async def test_archive_mode_off_is_told_where_backups_expect_the_archive(servers: Servers, version: str) -> None:
    server = servers.postgres(version)
    async with opened(server.target("db")) as datastore:
        seen = await poll(datastore, QUERY)
        warned = await judged(datastore, "archiver_expected")

    assert seen.value("pg_archiver_enabled") == 0
    assert seen.value(SECONDS) is None
    assert seen.statuses == {}
    assert (warned.status, warned.findings) == (
        "warn", ("archive_mode is off, but a set of backups expects the archive of this server",),
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["on", "always"])
async def test_a_replica_tells_what_it_archives_itself(servers: Servers, mode: str) -> None:
    settings = {"archive_mode": mode, "archive_command": "true", "autovacuum": "off"}
    with servers.private_postgres("18", settings) as primary, primary.replica() as replica:
        primary.psql("CREATE TABLE written (n int, filler text)", "app")
        async with opened(replica.target("db")) as datastore:
            archive(primary)
            await until(
                replica,
                "SELECT 1 FROM pg_stat_archiver WHERE archived_count > 0 OR current_setting('archive_mode') = 'on'",
            )
            first = await poll(datastore, QUERY)
            write(primary, 10)
            await until(replica, "SELECT 1 FROM written LIMIT 1", "app")
            written = await poll(datastore, QUERY)
            archive(primary)
            last = await eventually(datastore, QUERY, lambda now: now.value(SECONDS) in (0, None))

    if mode == "on":
        assert first.value("pg_archiver_enabled") is written.value(SECONDS) is last.value(SECONDS) is None
    else:
        assert first.value("pg_archiver_enabled") == 1
        assert (written.value(SECONDS) or 0) > 0
        assert last.value(SECONDS) == 0


async def test_a_receiver_of_the_log_archives_it_as_well(servers: Servers, tmp_path: Path) -> None:
    server = servers.postgres("18")
    command = (fetch("18") / "bin" / "pg_receivewal", "--no-loop", "--directory", tmp_path, "--dbname", server.dsn())
    async with opened(server.target("db")) as datastore:
        receiver = await asyncio.create_subprocess_exec(*command)
        try:
            await until(
                server,
                "SELECT 1 FROM pg_stat_replication WHERE application_name = 'pg_receivewal' AND state = 'streaming'",
            )
            received = await judged(datastore, "archiver_expected")
        finally:
            receiver.terminate()
            await receiver.wait()

    assert (received.status, received.findings) == ("pass", ())
