"""Logical replication as PostgreSQL's queries tell it, at the publisher and at the subscriber."""

import time
from collections.abc import Iterator

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.postgres_polls import eventually, opened, poll, until

SUBSCRIPTION = {"datname": "app", "subname": "from_publisher"}
SLOT = {"slot_name": "from_publisher"}
TABLE = "CREATE TABLE notes (id int PRIMARY KEY, text text)"
SETTINGS = {"wal_level": "logical", "wal_retrieve_retry_interval": "200ms", "logical_decoding_work_mem": "64kB"}


@pytest.fixture(scope="module", params=["14", "15", "18"])
def publisher(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, SETTINGS) as server:
        server.psql(f"{TABLE}; INSERT INTO notes VALUES (1, 'first'); CREATE PUBLICATION notes FOR TABLE notes", "app")
        yield server


@pytest.fixture(scope="module")
def subscriber(servers: Servers, publisher: Postgres) -> Iterator[Postgres]:
    with servers.private_postgres(publisher.version, SETTINGS) as server:
        server.psql(TABLE, "app")
        server.psql(f"CREATE SUBSCRIPTION from_publisher CONNECTION '{publisher.dsn('app')}' PUBLICATION notes", "app")
        yield server


def of(collected: Collected, name: str) -> float:
    value = collected.value(f"pg_stat_subscription_{name}", **SUBSCRIPTION)
    assert value is not None, name
    return value


async def arrived(server: Postgres, number: int) -> None:
    await until(server, f"SELECT id FROM notes WHERE id = {number}", "app")


def decoded(collected: Collected, *names: str) -> float:
    return sum(collected.value(f"pg_stat_replication_slots_{name}_total", **SLOT) or 0 for name in names)


async def test_changes_that_arrive_move_both_ends(publisher: Postgres, subscriber: Postgres) -> None:
    await arrived(subscriber, 1)
    async with opened(publisher.target("publisher")) as there, opened(subscriber.target("subscriber")) as here:
        before = await eventually(here, "subscriptions", lambda now: of(now, "copying_workers") == 0)
        first = await poll(there, "replication_slot_stats")
        publisher.psql("INSERT INTO notes SELECT n, repeat('x', 100) FROM generate_series(100, 5000) AS n", "app")
        await arrived(subscriber, 5000)
        received = of(before, "received_lsn_bytes")
        after = await eventually(here, "subscriptions", lambda now: of(now, "received_lsn_bytes") > received)
        counted = await eventually(
            there, "replication_slot_stats", lambda now: decoded(now, "txns") > decoded(first, "txns")
        )
        standby = await poll(there, "stat_replication", "sync_state", "replication_slot_details")

    assert (of(after, "enabled"), of(after, "up")) == (1, 1)
    for name in ("last_msg_send", "last_msg_receipt", "latest_end"):
        assert time.time() - 600 < of(after, f"{name}_timestamp_seconds") <= time.time()
    assert decoded(counted, "bytes") > 100 * 4900
    assert decoded(counted, "spill_txns", "stream_txns") >= 1  # it did not fit into 64 kB
    assert decoded(counted, "spill_bytes", "stream_bytes") > 100_000
    [labels] = standby.samples["pg_stat_replication_pg_wal_lsn_diff"]
    assert dict(labels) == {
        "application_name": "from_publisher",
        "client_addr": "127.0.0.1",
        "state": "streaming",
        "slot_name": "from_publisher",
    }
    slot = {**SLOT, "slot_type": "logical"}
    assert (standby.value("pg_replication_slots_slot_confirmed_flush_lsn", **slot) or 0) > 0
    assert standby.value("pg_replication_slots_failover", **slot) == (0 if publisher.version == "18" else None)


async def test_a_change_that_cannot_be_applied_counts_as_an_error(publisher: Postgres, subscriber: Postgres) -> None:
    subscriber.psql("INSERT INTO notes VALUES (10, 'there already')", "app")
    async with opened(subscriber.target("subscriber")) as here:
        publisher.psql("INSERT INTO notes VALUES (10, 'comes too late')", "app")
        if publisher.version == "14":
            await eventually(here, "subscriptions", lambda now: of(now, "up") == 0)
            refused = await collect(subscriber.target("subscriber"), only=["subscription_stats"])
            assert refused.unsupported == {"subscription_stats": "unsupported: needs version >=15"}
        else:
            failed = await eventually(here, "subscription_stats", lambda now: of(now, "apply_errors_total") >= 2)
            assert of(failed, "sync_errors_total") == 0
            conflicts = failed.value("pg_stat_subscription_confl_insert_exists_total", **SUBSCRIPTION)
            assert (conflicts is None) == (publisher.version == "15")
            assert conflicts is None or conflicts >= 1
        subscriber.psql("DELETE FROM notes WHERE id = 10", "app")
        await until(subscriber, "SELECT id FROM notes WHERE text = 'comes too late'", "app")
        again = await eventually(here, "subscriptions", lambda now: of(now, "up") == 1)

    assert of(again, "enabled") == 1


async def test_a_disabled_subscription_lets_its_slot_hold_log(publisher: Postgres, subscriber: Postgres) -> None:
    await arrived(subscriber, 1)
    async with opened(publisher.target("publisher")) as there, opened(subscriber.target("subscriber")) as here:
        subscriber.psql("ALTER SUBSCRIPTION from_publisher DISABLE", "app")
        stopped = await eventually(here, "subscriptions", lambda now: of(now, "up") == 0)
        left = await eventually(
            there,
            "replication_slots",
            lambda now: now.value("pg_replication_slots_active", slot_name="from_publisher", database="app") == 0,
        )
        publisher.psql("INSERT INTO notes SELECT n, 'unread' FROM generate_series(6000, 9000) AS n", "app")
        held = await poll(there, "replication_slots_retained", "replication_lag_bytes")
        subscriber.psql("ALTER SUBSCRIPTION from_publisher ENABLE", "app")
        await arrived(subscriber, 9000)

    assert of(stopped, "enabled") == 0
    assert stopped.value("pg_stat_subscription_received_lsn_bytes", **SUBSCRIPTION) is None
    retained = left.value("pg_replication_slots_pg_wal_lsn_diff", slot_name="from_publisher", database="app") or 0
    assert (held.value("pg_replication_slots_retained_bytes") or 0) > retained + 3000 * 20
    assert held.value("pg_replication_worst_lag_bytes") == 0  # a subscriber that left is no standby
