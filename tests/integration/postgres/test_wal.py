"""Write-ahead log, archive, slots, checkpoints and I/O as PostgreSQL's queries tell them."""

import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from exporter.config.thresholds import Limit
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.queries.loader import builtin_folder
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import eventually, opened, poll, until
from tests.support.queries import load_query

VERSIONS = ("14", "15", "16", "17", "18")
SEGMENT = 16 * 1024 * 1024


@pytest.fixture(scope="module", params=["14", "18"])
def archiving(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """Give a server that archives, to nowhere; switching to `false` makes it fail."""
    with servers.private_postgres(request.param, {"archive_mode": "on", "archive_command": "true"}) as server:
        yield server


def archive_with(server: Postgres, command: str) -> None:
    server.psql(f"ALTER SYSTEM SET archive_command = '{command}'")
    server.psql("SELECT pg_reload_conf()")


def fill_segments(server: Postgres, number: int) -> None:
    for _ in range(number):
        server.psql("SELECT pg_logical_emit_message(true, 'test', 'x'); SELECT pg_switch_wal()")


def age(file: Path, seconds: float) -> None:
    """Let a file look as if it had lain there for so long."""
    then = time.time() - seconds
    os.utime(file, (then, then))


def total(collected: Collected, metric: str, **where: str) -> float:
    """Add up a metric's samples that have some labels."""
    series = collected.samples[metric].items()
    return sum(value for labels, value in series if where.items() <= dict(labels).items() and isinstance(value, float))


async def test_a_failing_archive_command_shows_until_it_works_again(archiving: Postgres) -> None:
    async with opened(archiving.target("db")) as datastore:
        fill_segments(archiving, 1)
        good = await eventually(datastore, "archiver", lambda now: now.value("pg_archiver_lag_segments") == 0)
        archive_with(archiving, "false")
        fill_segments(archiving, 3)
        bad = await eventually(datastore, "archiver", lambda now: now.value("pg_archiver_failing") == 1)
        waiting = await poll(datastore, "wal_directory")
        longer = await eventually(
            datastore,
            "wal_directory",
            lambda now: (
                (now.value("pg_archiver_oldest_ready_seconds") or 0)
                > (waiting.value("pg_archiver_oldest_ready_seconds") or 0) + 0.2
            ),
        )
        archive_with(archiving, "true")
        fill_segments(archiving, 1)
        done = await eventually(datastore, "wal_directory", lambda now: now.value("pg_archiver_ready_files") == 0)
        again = await eventually(datastore, "archiver", lambda now: now.value("pg_archiver_failing") == 0)

    assert good.statuses == again.statuses == {"archiver": "pass"}
    assert bad.statuses == {"archiver": "warn"}
    assert bad.value("pg_archiver_lag_segments") == longer.value("pg_archiver_ready_files")
    assert (bad.value("pg_stat_archiver_failed_count") or 0) > 0
    assert (bad.value("pg_archiver_last_failed_timestamp_seconds") or 0) > (
        bad.value("pg_archiver_last_archived_timestamp_seconds") or 0
    )
    assert longer.value("pg_archiver_ready_files") in (1, 2, 3)  # the archiver may learn of its new command late
    assert longer.statuses == {"archiver": "pass"}  # seconds are no reason to worry, the failure itself is
    assert done.value("pg_archiver_oldest_ready_seconds") == 0
    assert again.value("pg_archiver_lag_segments") == 0


async def test_a_file_that_waits_for_hours_fails_though_no_attempt_did(archiving: Postgres) -> None:
    """A command that hangs never fails."""
    async with opened(archiving.target("db")) as datastore:
        hold = archiving.data / "hold"
        hold.touch()
        archive_with(archiving, "while test -e hold; do sleep 0.1; done")
        fill_segments(archiving, 1)
        await eventually(datastore, "wal_directory", lambda now: now.value("pg_archiver_ready_files") == 1)
        [mark] = (archiving.data / "pg_wal" / "archive_status").glob("*.ready")
        age(mark, 1000)
        late = await poll(datastore, "wal_directory")
        age(mark, 7200)
        stuck = await poll(datastore, "wal_directory")
        attempts = await poll(datastore, "archiver")
        archive_with(archiving, "true")
        hold.unlink()

    assert late.statuses == {"archiver": "warn"}
    assert stuck.statuses == {"archiver": "fail"}
    assert stuck.value("pg_archiver_oldest_ready_seconds") == pytest.approx(7200, abs=600)
    assert attempts.statuses == {"archiver": "pass"}


async def test_archive_that_is_off_has_no_files_waiting(servers: Servers) -> None:
    with servers.private_postgres("18") as server:
        mark = server.data / "pg_wal" / "archive_status" / "000000010000000000000001.ready"
        mark.touch()
        age(mark, 7200)
        async with opened(server.target("db")) as datastore:
            off = await poll(datastore, "wal_directory")

    assert off.value("pg_archiver_ready_files") == 1
    assert off.value("pg_archiver_oldest_ready_seconds") == 0
    assert off.statuses == {"archiver": "pass"}


async def test_the_label_of_a_backup_in_the_archive_is_no_position(archiving: Postgres) -> None:
    backup = {
        "14": "SELECT pg_start_backup('test', true, false); SELECT pg_stop_backup(false)",
        "18": "SELECT pg_backup_start('test', true); SELECT pg_backup_stop()",
    }
    async with opened(archiving.target("db")) as datastore:
        archiving.psql(backup[archiving.version])
        await until(archiving, "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal LIKE '%.backup'")
        labelled = await poll(datastore, "archiver")
        fill_segments(archiving, 1)
        counted = await eventually(datastore, "archiver", lambda now: now.value("pg_archiver_lag_segments") is not None)

    assert labelled.value("pg_archiver_lag_segments") is None
    assert labelled.statuses == {"archiver": "pass"}
    assert counted.value("pg_archiver_lag_segments") == 0


async def retained_beyond(datastore: PostgresDatastore, bytes_: float) -> tuple[str, tuple[str, ...]]:
    """Judge the slot furthest behind by a limit that a test can reach."""
    path = builtin_folder() / "postgres" / "replication_slots_retained.yaml"
    query = load_query(path, "postgres", {"slot_retained_bytes": Limit(warn=bytes_, fail=None)})
    async with datastore.session("fast") as session:
        rows = await session.fetch(query)
    [outcome] = query.outcomes(rows, query.samples(rows))
    return outcome.status, outcome.findings


@pytest.mark.parametrize("version", ["14", "17", "18"])
async def test_a_slot_without_a_reader_holds_log_until_it_is_lost(servers: Servers, version: str) -> None:
    slot = {"slot_name": "forgotten", "slot_type": "physical"}
    with servers.private_postgres(version, {"min_wal_size": "32MB", "max_wal_size": "64MB"}) as server:
        async with opened(server.target("db")) as datastore:
            before = await poll(datastore, "replication_slots_retained")
            server.psql("SELECT pg_create_physical_replication_slot('forgotten', true)")
            fill_segments(server, 4)
            held = await poll(datastore, "replication_slots", "replication_slots_retained")
            far, near = await retained_beyond(datastore, 2 * SEGMENT), await retained_beyond(datastore, 9 * SEGMENT)
            safe = await poll(datastore, "replication_slots_endangered")
            server.psql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
            server.psql("SELECT pg_reload_conf()")
            await until(server, "SELECT 1 FROM pg_replication_slots WHERE wal_status = 'unreserved'")
            unreserved = await poll(datastore, "replication_slots_endangered")
            server.psql("CHECKPOINT")
            await until(server, "SELECT 1 FROM pg_replication_slots WHERE wal_status = 'lost'")
            lost = await poll(datastore, "replication_slots_endangered")
            after = await poll(datastore)
            server.psql("SELECT pg_drop_replication_slot('forgotten')")
            dropped = await poll(datastore, "replication_slots_endangered")

    assert before.value("pg_replication_slots_retained_bytes") == 0
    retained = held.value("pg_replication_slots_pg_wal_lsn_diff", slot_name="forgotten", database="")
    assert 3 * SEGMENT < (retained or 0) <= 5 * SEGMENT
    assert held.value("pg_replication_slots_retained_bytes") == retained
    assert far == ("warn", ("forgotten",))
    assert near[0] == "pass"
    assert safe.value("pg_replication_slots_used") == 1
    assert safe.statuses == dropped.statuses == {"slots": "pass"}
    assert unreserved.statuses == lost.statuses == {"slots": "warn"}
    assert lost.value("pg_replication_slots_endangered") == 1
    assert after.value("pg_replication_slots_wal_status", wal_status="lost", **slot) == 1
    assert after.value("pg_replication_slots_wal_status", wal_status="reserved", **slot) == 0
    removed = after.value("pg_replication_slots_invalidation_reason", invalidation_reason="wal_removed", **slot)
    assert removed == (1 if int(version) >= 17 else None)


async def checkpointed(server: Postgres) -> Collected:
    """Write a table and a checkpoint, and wait until both are counted."""
    least = {"checkpoints_req": 1, "buffers_checkpoint": 1, "buffers_backend": 100}
    async with opened(server.target("db")) as datastore:
        before = await poll(datastore, "checkpoints")
        server.psql("CREATE TABLE written AS SELECT repeat('x', 1000) FROM generate_series(1, 4000)", "app")
        server.psql("CHECKPOINT; DROP TABLE written", "app")

        def moved(now: Collected, name: str) -> float:
            return total(now, f"pg_stat_bgwriter_{name}_total") - total(before, f"pg_stat_bgwriter_{name}_total")

        return await eventually(
            datastore, "checkpoints", lambda now: all(moved(now, name) >= more for name, more in least.items())
        )


async def test_checkpoints_have_the_same_names_on_all_versions(servers: Servers) -> None:
    """What a dashboard showed on 14 it shows on 18; later versions only add."""
    names: dict[str, set[str]] = {}
    for version in VERSIONS:
        after = await checkpointed(servers.postgres(version))
        names[version] = {name for name, series in after.samples.items() if series}
        for one, other in (
            ("pg_stat_bgwriter_checkpoints_req_total", "pg_stat_checkpointer_num_requested_total"),
            ("pg_stat_bgwriter_buffers_checkpoint_total", "pg_stat_checkpointer_buffers_written_total"),
        ):
            assert after.value(one) == after.value(other)

    for older, newer in pairwise(VERSIONS):
        assert names[older] <= names[newer]
    assert names["18"] - names["14"] == {
        "pg_stat_checkpointer_num_done_total",
        "pg_stat_checkpointer_restartpoints_done_total",
        "pg_stat_checkpointer_restartpoints_req_total",
        "pg_stat_checkpointer_restartpoints_timed_total",
        "pg_stat_checkpointer_slru_written_total",
    }


@pytest.mark.parametrize("version", ["16", "17", "18"])
async def test_io_counts_the_bytes_that_a_new_table_takes(servers: Servers, version: str) -> None:
    where = {"backend_type": "client backend", "object": "relation"}
    server = servers.postgres(version)
    async with opened(server.target("db")) as datastore:
        before = total(await poll(datastore, "stat_io"), "pg_stat_io_extend_bytes_total", **where)
        server.psql("CREATE TABLE extended AS SELECT repeat('x', 1000) FROM generate_series(1, 4000)", "app")
        [(size,)] = server.psql("SELECT pg_relation_size('extended')", "app")
        server.psql("DROP TABLE extended", "app")
        after = await eventually(
            datastore,
            "stat_io",
            lambda now: total(now, "pg_stat_io_extend_bytes_total", **where) >= before + float(size),
        )

    assert float(size) > 4_000_000
    assert (total(after, "pg_stat_io_write_bytes_total", object="wal") > 0) == (version == "18")
    assert total(after, "pg_stat_io_hits_total", **where) > 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_log_written_moves_its_counters_and_the_position(servers: Servers, version: str) -> None:
    server = servers.postgres(version)
    async with opened(server.target("db")) as datastore:
        before = await poll(datastore, "wal")
        server.psql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))")
        written = (before.value("pg_stat_wal_bytes_total") or 0) + 1_000_000
        after = await eventually(datastore, "wal", lambda now: (now.value("pg_stat_wal_bytes_total") or 0) >= written)
        files = await poll(datastore, "wal_directory", "timeline")
    [(size, position)] = server.psql("SELECT sum(size), pg_current_wal_lsn() - '0/0' FROM pg_ls_waldir()")

    moved = (after.value("pg_wal_lsn_bytes") or 0) - (before.value("pg_wal_lsn_bytes") or 0)
    assert moved >= 1_000_000
    assert (after.value("pg_wal_lsn_bytes") or 0) <= float(position)
    assert (after.value("pg_stat_wal_write_total") is None) == (version == "18")
    assert files.value("pg_wal_size_bytes") == (files.value("pg_wal_segments") or 0) * SEGMENT == float(size)
    assert files.value("pg_timeline") == 1


@pytest.mark.parametrize("version", ["14", "18"])
async def test_caches_of_transaction_data_have_the_same_names_on_all_versions(servers: Servers, version: str) -> None:
    server = servers.postgres(version)
    async with opened(server.target("db")) as datastore:
        before = await poll(datastore, "slru")
        server.psql("INSERT INTO customers (email, name) VALUES (gen_random_uuid()::text, 'slru')", "app")
        hits = before.value("pg_stat_slru_blks_hit_total", name="transaction") or 0
        await eventually(
            datastore, "slru", lambda now: (now.value("pg_stat_slru_blks_hit_total", name="transaction") or 0) > hits
        )

    assert {dict(labels)["name"] for labels in before.samples["pg_stat_slru_blks_hit_total"]} == {
        "commit_timestamp", "multixact_member", "multixact_offset", "notify", "other", "serializable",
        "subtransaction", "transaction",
    }  # fmt: skip
