"""Replication as PostgreSQL's queries tell it: lag that is real, on both ends, in good days and bad."""

from collections.abc import Iterator

import pytest

from testkit.postgres import PASSWORDS, Postgres
from testkit.proxy import Proxy
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.exporter_process import Exporter
from tests.support.postgres_polls import client, eventually, opened, poll, until

QUERIES = ("replication", "replication_slots", "replication_slot_wal_status", "stat_replication")


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
    primary.start()
    primary.psql(f"SELECT pg_drop_replication_slot('replica_{replica.port}')")


def lag(collected: Collected) -> float:
    value = collected.value("pg_replication_lag_seconds")
    assert value is not None
    return value


def worst_bytes(collected: Collected) -> float:
    value = collected.value("pg_replication_worst_lag_bytes")
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
        ends = await poll(at_primary, "replication_lag_bytes"), await poll(at_replica, "replication_lag_bytes")
        write(primary)
        further_on_primary = await eventually(
            at_primary, "replication_lag_bytes", lambda now: worst_bytes(now) > worst_bytes(ends[0])
        )
        further_on_replica = await eventually(
            at_replica, "replication_lag_bytes", lambda now: worst_bytes(now) > worst_bytes(ends[1])
        )
        replica.psql("SELECT pg_wal_replay_resume()")
        resumed = await eventually(at_replica, "replication", lambda now: lag(now) == 0)

    assert caught_up.value("pg_wal_receiver_up") == 1
    assert caught_up.value("pg_wal_replay_paused") == 0
    assert further.value("pg_wal_replay_paused") == 1
    assert further.value("pg_replication_is_replica") == 1
    assert further.statuses == {"replicationLag": "pass"}
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
    assert all(worst_bytes(end) > 0 for end in ends)
    assert further_on_primary.value("pg_replication_lag_bytes") == 0
    assert further_on_replica.value("pg_replication_lag_bytes") == worst_bytes(further_on_replica)
    assert further_on_primary.statuses == further_on_replica.statuses == {"replicationLagBytes": "pass"}


async def test_a_replica_without_its_primary_is_behind(primary: Postgres, replica: Postgres) -> None:
    """All it received is replayed, but what it misses is unknown: received equals replayed is not "no lag"."""
    async with opened(replica.target("replica")) as datastore:
        write(primary)
        await eventually(datastore, "replication", lambda now: lag(now) == 0)
        primary.stop()
        alone = await eventually(datastore, "replication", lambda now: now.value("pg_wal_receiver_up") == 0)
        later = await eventually(datastore, "replication", lambda now: lag(now) > lag(alone) + 0.3)
        bytes_ = await poll(datastore, "replication_lag_bytes", "wal_receiver")
        same = replica.psql("SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()")
        primary.start()
        write(primary)
        back = await eventually(datastore, "replication", lambda now: lag(now) == 0)

    assert same == [("t",)]
    assert bytes_.value("pg_replication_worst_lag_bytes") is None  # unknown is not 0
    assert bytes_.statuses == {}
    assert bytes_.series["wal_receiver"] == 0
    assert lag(alone) > 0
    assert later.value("pg_replication_worst_lag_seconds") == lag(later)
    assert back.value("pg_wal_receiver_up") == 1


async def test_a_replica_that_starts_without_its_primary_is_behind(primary: Postgres, replica: Postgres) -> None:
    """It has replayed nothing since, and yet it is not "no lag"."""
    primary.stop()
    replica.restart()
    async with opened(replica.target("replica")) as datastore:
        alone = await poll(datastore, "replication")
        await eventually(datastore, "replication", lambda now: lag(now) > lag(alone) + 0.3)
    primary.start()

    assert lag(alone) > 0
    assert alone.value("pg_replication_last_replay_seconds") is None
    assert alone.value("pg_wal_receiver_up") == 0


async def test_a_replica_behind_a_slow_network_is_behind(primary: Postgres, replica: Postgres) -> None:
    """It has replayed all that it received, and knows that there is far more."""
    with Proxy(primary.port) as proxy:
        async with opened(replica.target("replica")) as datastore:
            conninfo = f"host=127.0.0.1 port={proxy.port} user=postgres password={PASSWORDS['postgres']}"
            replica.psql(f"ALTER SYSTEM SET primary_conninfo = '{conninfo}'")
            replica.stop()
            primary.psql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 30000000))")
            proxy.delay(0.3)
            replica.start()
            await eventually(datastore, "replication_lag_bytes", lambda now: worst_bytes(now) > 1_000_000)
            slow = await poll(datastore, "replication")
            proxy.restore()

    assert slow.value("pg_wal_receiver_up") == 1
    assert lag(slow) > 0


async def test_a_promoted_replica_is_a_primary(replica: Postgres) -> None:
    async with opened(replica.target("replica")) as datastore:
        before = await poll(datastore, "replication", "timeline")
        replica.psql("SELECT pg_promote()")
        after = await poll(datastore)

    assert (before.info.role, after.info.role) == ("replica", "primary")
    assert after.value("pg_replication_is_replica") == 0
    assert lag(after) == 0
    assert (before.value("pg_timeline"), after.value("pg_timeline")) == (1, 2)


def test_a_promotion_makes_everything_due_at_once(replica: Postgres) -> None:
    """Its timeline, and what is asked every five minutes otherwise: it was said of a replica."""
    seldom = ("static", "replication_slot_stats", "database_size")

    def asked(query: str) -> float:
        return exporter.value("datatier_query_last_success_timestamp_seconds", query=query) or 0.0

    with Exporter([replica.target("replica")]) as exporter:
        exporter.wait(lambda: all(asked(query) for query in seldom), "the first round")
        exporter.wait(lambda: exporter.value("pg_timeline") == 1, "the timeline of before")
        before = {query: asked(query) for query in seldom}
        replica.psql("SELECT pg_promote()")
        exporter.wait(lambda: exporter.value("pg_timeline") == 2, "the timeline", 10)
        exporter.wait(lambda: all(asked(query) > before[query] for query in seldom), "the next round", 10)


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
        known = await poll(datastore, "replication_lag_bytes")
        if primary.version == "18":  # where a slot has the time
            await eventually(
                datastore, "replication", lambda now: (now.value("pg_replication_worst_lag_seconds") or 0) > 0.5
            )
        replica.start()
        await eventually(datastore, "replication_lag_bytes", lambda now: worst_bytes(now) == 0)
        await eventually(
            datastore, "replication", lambda now: (now.value("pg_replication_worst_lag_seconds") or 0) < 0.5
        )

    assert connected.value("pg_replication_slots_active", **slot) == 1
    before = left.value("pg_replication_slots_pg_wal_lsn_diff", **slot) or 0
    assert (kept.value("pg_replication_slots_pg_wal_lsn_diff", **slot) or 0) > before
    assert worst_bytes(known) >= (kept.value("pg_replication_slots_pg_wal_lsn_diff", **slot) or 0)


async def test_a_query_cancelled_by_replay_counts_with_its_cause(primary: Postgres) -> None:
    """Rows that a query on the replica still needs are vacuumed away on the primary."""
    [(datid,)] = primary.psql("SELECT oid FROM pg_database WHERE datname = 'app'")
    conflicts, where = "pg_stat_database_conflicts_confl_snapshot", {"datid": datid, "datname": "app"}
    primary.psql("CREATE TABLE needed AS SELECT n FROM generate_series(1, 1000) AS n", "app")
    with primary.replica({"max_standby_streaming_delay": "0", "hot_standby_feedback": "off"}) as replica:
        async with opened(replica.target("replica")) as datastore, client(replica) as reader:
            await until(replica, "SELECT n FROM needed LIMIT 1", "app")
            before = await poll(datastore, "stat_database_conflicts")
            await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM needed")
            primary.psql("DELETE FROM needed; VACUUM needed", "app")
            after = await eventually(datastore, "stat_database_conflicts", lambda now: now.value(conflicts, **where))
    primary.psql(f"SELECT pg_drop_replication_slot('replica_{replica.port}')")

    assert before.value(conflicts, **where) == 0
    assert after.value(conflicts, **where) == 1


async def test_a_replica_of_a_replica_shows_on_the_one_it_follows(replica: Postgres) -> None:
    with replica.replica() as last:
        async with opened(replica.target("middle")) as middle, opened(last.target("last")) as end:
            upstream = await eventually(
                middle, "stat_replication", lambda now: now.samples["pg_stat_replication_pg_wal_lsn_diff"]
            )
            slots = await poll(middle, "replication_slots", "replication_slot_details", "replication_lag_bytes")
            receiver = await eventually(end, "replication", lambda now: now.value("pg_wal_receiver_up") == 1)

    slot = {"slot_name": f"replica_{last.port}", "database": ""}
    [labels] = upstream.samples["pg_stat_replication_pg_wal_lsn_diff"]
    assert dict(labels)["slot_name"] == slot["slot_name"]
    assert slots.value("pg_replication_slots_active", **slot) == 1
    assert slots.value("pg_replication_slots_pg_wal_lsn_diff", **slot) is not None
    assert receiver.value("pg_replication_is_replica") == 1


async def test_a_replica_that_delays_replay_is_behind_by_what_exceeds_the_delay(
    primary: Postgres, replica: Postgres
) -> None:
    """It holds back what it has; once the primary is gone, and nothing is held back any more, it falls behind."""
    replica.psql("ALTER SYSTEM SET recovery_min_apply_delay = '3s'")
    replica.psql("SELECT pg_reload_conf()")
    async with opened(replica.target("replica")) as datastore:
        write(primary)
        holding = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'RecoveryApplyDelay'"
        await until(replica, holding)
        held = await poll(datastore, "replication", "replication_lag_bytes")
        primary.stop()
        behind = await eventually(datastore, "replication", lambda now: lag(now) > 0)

    assert (lag(held), held.value("pg_replication_worst_lag_seconds"), worst_bytes(held)) == (0, 0, 0)
    assert lag(behind) <= (behind.value("pg_replication_last_replay_seconds") or 0) - 2.9


async def test_a_replica_of_an_archive_has_no_receiver_that_is_down(primary: Postgres, replica: Postgres) -> None:
    async with opened(replica.target("replica")) as datastore:
        before = await poll(datastore, "replication")
        replica.psql("ALTER SYSTEM SET primary_conninfo = ''")
        replica.psql("SELECT pg_reload_conf()")
        await eventually(datastore, "replication", lambda now: now.value("pg_wal_receiver_up") is None)
        write(primary)
        after = await poll(datastore, "replication")

    assert before.value("pg_wal_receiver_up") == 1
    assert lag(after) > 0
