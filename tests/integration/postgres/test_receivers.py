"""What a standby gets from its primary, and what its replay will need."""

import time

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import eventually, opened, poll

VERSIONS = ("14", "15", "16", "17", "18")


def write(primary: Postgres) -> None:
    primary.psql("INSERT INTO customers (email, name) VALUES (gen_random_uuid()::text, 'lagging')", "app")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_receiver_reports_its_position_and_its_sender(servers: Servers, version: str) -> None:
    replica = servers.replica(version)
    upstream = servers.postgres(version)
    async with opened(replica.target("replica")) as datastore:
        before = await poll(datastore, "wal_receiver")
        [labels] = before.samples["pg_stat_wal_receiver_flushed_lsn"]
        upstream.psql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000))")
        flushed = before.value("pg_stat_wal_receiver_flushed_lsn", **dict(labels)) or 0
        after = await eventually(
            datastore,
            "wal_receiver",
            lambda now: (now.value("pg_stat_wal_receiver_flushed_lsn", **dict(labels)) or 0) > flushed + 1_000_000,
        )
        timeline = await poll(datastore, "timeline")
    [(slot, end)] = replica.psql("SELECT slot_name, latest_end_lsn - '0/0' FROM pg_stat_wal_receiver")

    def value(name: str) -> float:
        return after.value(f"pg_stat_wal_receiver_{name}", **dict(labels)) or 0

    assert dict(labels) == {"upstream_host": "127.0.0.1", "slot_name": slot, "status": "streaming"}
    assert value("receive_start_lsn") <= flushed
    assert value("latest_end_lsn") <= float(end)
    assert value("received_tli") == value("receive_start_tli") == timeline.value("pg_timeline") == 1
    assert value("last_msg_receipt_time") >= value("last_msg_send_time") > time.time() - 600
    assert time.time() - 600 < value("latest_end_time") < time.time()


@pytest.mark.parametrize("version", ["15", "18"])
async def test_blocks_that_replay_will_need_are_looked_at_ahead(servers: Servers, version: str) -> None:
    replica, upstream = servers.replica(version), servers.postgres(version)
    async with opened(replica.target("replica")) as datastore:
        before = looked_at(await poll(datastore, "recovery_prefetch"))
        upstream.psql("CREATE TABLE ahead AS SELECT n FROM generate_series(1, 10000) AS n; DROP TABLE ahead", "app")
        after = await eventually(datastore, "recovery_prefetch", lambda now: looked_at(now) > before)

    assert after.value("pg_stat_recovery_prefetch_io_depth") is not None


def looked_at(collected: Collected) -> float:
    return sum(
        collected.value(f"pg_stat_recovery_prefetch_{what}_total") or 0
        for what in ("prefetch", "hit", "skip_init", "skip_new", "skip_fpw", "skip_rep")
    )
