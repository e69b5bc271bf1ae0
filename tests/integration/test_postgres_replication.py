"""Replication as PostgreSQL's queries tell it: lag that is real, on both ends, in good days and bad."""

from collections.abc import Iterator

import pytest

from tests.integration.collect import Collected
from tests.integration.postgres_polls import eventually, opened, poll
from tests.servers.postgres import Postgres
from tests.servers.session import Servers

QUERIES = ("replication", "replication_slots", "replication_slot_wal_status", "stat_replication")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["14", "18"])
def primary(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(
        request.param, {"wal_receiver_status_interval": "1s", "wal_retrieve_retry_interval": "500ms"}
    ) as primary:
        yield primary


@pytest.fixture
def replica(primary: Postgres) -> Iterator[Postgres]:
    with primary.replica() as replica:
        yield replica


def lag(collected: Collected) -> float:
    value = collected.value("pg_replication_lag_seconds")
    assert value is not None
    return value


def write(primary: Postgres) -> None:
    primary.psql("INSERT INTO customers (email, name) VALUES (gen_random_uuid()::text, 'lagging')", "app")


async def test_lag_of_a_paused_replica_grows_on_both_ends(primary: Postgres, replica: Postgres) -> None:
    async with opened(primary.target("primary")) as at_primary, opened(replica.target("replica")) as at_replica:
        write(primary)
        caught_up = await eventually(at_replica, "replication", lambda now: lag(now) == 0)
        replica.psql("SELECT pg_wal_replay_pause()")
        write(primary)
        behind = await eventually(at_replica, "replication", lambda now: lag(now) > 0)
        further = await eventually(at_replica, "replication", lambda now: lag(now) > lag(behind) + 0.5)
        on_primary = await eventually(
            at_primary, "replication", lambda now: (now.value("pg_replication_worst_lag_seconds") or 0) > 0.5
        )
        standby = await poll(at_primary, *QUERIES)
        replica.psql("SELECT pg_wal_replay_resume()")
        resumed = await eventually(at_replica, "replication", lambda now: lag(now) == 0)

    assert caught_up.value("pg_wal_receiver_up") == 1
    assert caught_up.value("pg_wal_replay_paused") == 0
    assert further.value("pg_wal_replay_paused") == 1
    assert further.value("pg_replication_is_replica") == 1
    assert further.verdicts == {"replicationLag": "pass"}
    assert lag(on_primary) == 0
    assert on_primary.value("pg_replication_is_replica") == 0
    [(labels, diff)] = standby.samples["pg_stat_replication_pg_wal_lsn_diff"].items()
    assert isinstance(diff, float)
    assert diff > 0
    assert dict(labels)["state"] == "streaming"
    assert dict(labels)["client_addr"] == "127.0.0.1"
    slot = {"slot_name": dict(labels)["slot_name"], "database": ""}
    assert standby.value("pg_replication_slots_active", **slot) == 1
    states = {
        dict(key)["wal_status"]: value for key, value in standby.samples["pg_replication_slots_wal_status"].items()
    }
    assert states == {"reserved": 1, "extended": 0, "unreserved": 0, "lost": 0}
    assert resumed.value("pg_wal_replay_paused") == 0


async def test_a_replica_without_its_primary_is_behind(primary: Postgres, replica: Postgres) -> None:
    """All it received is replayed, and yet nobody knows what it misses: received equals replayed is not "no lag"."""
    async with opened(replica.target("replica")) as datastore:
        write(primary)
        await eventually(datastore, "replication", lambda now: lag(now) == 0)
        primary.stop()
        alone = await eventually(datastore, "replication", lambda now: now.value("pg_wal_receiver_up") == 0)
        later = await eventually(datastore, "replication", lambda now: lag(now) > lag(alone) + 0.3)
        same = replica.psql("SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()")
        primary.start()
        write(primary)
        back = await eventually(datastore, "replication", lambda now: lag(now) == 0)

    assert same == [("t",)]
    assert lag(alone) > 0
    assert later.value("pg_replication_worst_lag_seconds") == lag(later)
    assert back.value("pg_wal_receiver_up") == 1


async def test_a_promoted_replica_is_a_primary(replica: Postgres) -> None:
    async with opened(replica.target("replica")) as datastore:
        before = await poll(datastore, "replication")
        replica.psql("SELECT pg_promote()")
        after = await poll(datastore)

    assert (before.info.role, after.info.role) == ("replica", "primary")
    assert after.value("pg_replication_is_replica") == 0
    assert lag(after) == 0


async def test_a_replica_that_left_shows_in_its_slot(primary: Postgres, replica: Postgres) -> None:
    slot = {"slot_name": f"replica_{replica.port}", "database": ""}
    async with opened(primary.target("primary")) as datastore:
        connected = await poll(datastore, *QUERIES)
        replica.stop()
        left = await eventually(
            datastore, "replication_slots", lambda now: now.value("pg_replication_slots_active", **slot) == 0
        )
        write(primary)
        kept = await poll(datastore, *QUERIES)

    assert connected.value("pg_replication_slots_active", **slot) == 1
    before = left.value("pg_replication_slots_pg_wal_lsn_diff", **slot) or 0
    assert (kept.value("pg_replication_slots_pg_wal_lsn_diff", **slot) or 0) > before
