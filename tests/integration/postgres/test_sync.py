"""Synchronous replication as PostgreSQL's queries tell it: who must stream before a commit returns, and who does."""

import asyncio
from collections.abc import Iterator

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.postgres_polls import client, eventually, opened, poll, until

SETTINGS = {"wal_receiver_status_interval": "1s", "wal_retrieve_retry_interval": "500ms"}


@pytest.fixture(scope="module", params=["14", "18"])
def primary(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with servers.private_postgres(request.param, SETTINGS) as primary:
        yield primary


@pytest.fixture(scope="module")
def near(primary: Postgres) -> Iterator[Postgres]:
    """Give a replica that calls itself near."""
    with primary.replica({"cluster_name": "near"}) as replica:
        yield replica


def wait_for(primary: Postgres, names: str) -> None:
    primary.psql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    primary.psql("SELECT pg_reload_conf()")


def standbys(collected: Collected) -> tuple[float | None, ...]:
    return tuple(collected.value(f"pg_sync_standbys_{part}") for part in ("required", "connected", "missing"))


def parts(collected: Collected) -> set[str]:
    """Name the parts that standbys play; every other one must be there as 0."""
    series = collected.samples["pg_stat_replication_sync_state"]
    assert {dict(labels)["sync_state"] for labels in series} == {"async", "potential", "sync", "quorum"}
    return {dict(labels)["sync_state"] for labels, value in series.items() if value == 1}


@pytest.mark.parametrize(
    ("names", "expected", "part"),
    [
        ("", (0, 0, 0), "async"),
        ("near", (1, 1, 0), "sync"),
        ("*", (1, 1, 0), "sync"),
        ("far, near", (1, 1, 0), "sync"),
        ('"any", near', (1, 1, 0), "sync"),
        ("FIRST 2 (near, far)", (2, 1, 1), "sync"),
        ("2(far, near)", (2, 1, 1), "sync"),
        (" any 1(near, far)", (1, 1, 0), "quorum"),
        ("ANY 3 (*)", (3, 1, 2), "quorum"),
        ("far", (1, 0, 1), "async"),
        ('"ANY 5 (near)", "odd, name"', (1, 0, 1), "async"),
    ],
)
async def test_as_many_are_missing_as_the_setting_asks_for_beyond_those_that_stream(
    primary: Postgres, near: Postgres, names: str, expected: tuple[float, ...], part: str
) -> None:
    assert near.pid is not None
    wait_for(primary, names)
    async with opened(primary.target("primary")) as datastore:
        collected = await eventually(datastore, "sync_standbys", lambda now: standbys(now) == expected)
        state = await eventually(datastore, "sync_state", lambda now: parts(now) == {part})

    assert collected.statuses == {"syncStandbys": "fail" if expected[2] else "pass"}
    assert (("application_name", "near"), ("client_addr", "127.0.0.1"), ("sync_state", part)) in state.samples[
        "pg_stat_replication_sync_state"
    ]


async def test_a_lost_synchronous_standby_fails_while_commits_hang(primary: Postgres, near: Postgres) -> None:
    wait_for(primary, "ANY 1 (near)")
    async with opened(primary.target("primary")) as datastore, client(primary) as connection:
        before = await eventually(datastore, "sync_standbys", lambda now: standbys(now) == (1, 1, 0))
        near.stop()
        lost = await eventually(datastore, "sync_standbys", lambda now: standbys(now) == (1, 0, 1))
        commit = asyncio.create_task(
            connection.execute("INSERT INTO customers (email, name) VALUES (gen_random_uuid()::text, 'waits')")
        )
        await until(primary, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        hung = await poll(datastore)  # none of our own queries waits with it
        done_while_lost = commit.done()
        near.start()
        await commit
        back = await eventually(datastore, "sync_standbys", lambda now: standbys(now) == (1, 1, 0))

    assert before.statuses == back.statuses == {"syncStandbys": "pass"}
    assert lost.statuses == {"syncStandbys": "fail"}
    assert hung.statuses["syncStandbys"] == "fail"
    assert not done_while_lost


async def test_a_replica_waits_for_no_standby(primary: Postgres, near: Postgres) -> None:
    """Its copy of the setting waits for the day that it is promoted."""
    wait_for(near, "ANY 2 (far, farther)")
    async with opened(near.target("near")) as datastore:
        await until(near, "SELECT 1 WHERE current_setting('synchronous_standby_names') LIKE 'ANY 2%'")
        collected = await poll(datastore, "sync_standbys")

    assert primary.pid is not None
    assert standbys(collected) == (0, 0, 0)
    assert collected.statuses == {"syncStandbys": "pass"}


async def test_hidden_standbys_are_not_called_missing(primary: Postgres, near: Postgres) -> None:
    wait_for(primary, "near")
    primary.psql("SET synchronous_commit = local; CREATE ROLE stranger LOGIN PASSWORD 'strange'")
    url = f"postgresql://stranger@127.0.0.1:{primary.port}/postgres"
    collected = await collect(
        {"name": "db", "store": "postgres", "url": url, "password": "strange"}, only=["sync_standbys"]
    )

    assert near.pid is not None
    assert standbys(collected) == (1, None, None)
    assert collected.statuses == {}


@pytest.mark.parametrize(("commit", "missing"), [("local", 0), ("off", 0), ("remote_write", 1)])
async def test_no_standby_is_missing_where_commits_wait_for_none(
    primary: Postgres, near: Postgres, commit: str, missing: int
) -> None:
    assert near.pid
    async with opened(primary.target("db")) as datastore:
        primary.psql(f"ALTER SYSTEM SET synchronous_commit = '{commit}'")
        wait_for(primary, "far")
        await eventually(datastore, "sync_standbys", lambda now: standbys(now) == (missing, 0, missing))
        statuses = (await poll(datastore, "sync_standbys")).statuses
        primary.psql("ALTER SYSTEM RESET synchronous_commit")
        wait_for(primary, "")

    assert statuses == {"syncStandbys": "fail" if missing else "pass"}
