"""A real Patroni cluster of two: leader, lag, pending restarts, and what is reported without etcd or Patroni."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple

import asyncpg
import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.errors import NoSessionError
from exporter.settings import read_queries
from testkit import Unavailable
from testkit.patroni import Etcd, Patroni
from testkit.postgres import PASSWORDS
from testkit.process import free_port
from testkit.session import Servers
from tests.support.collect import Collected, collect_from
from tests.support.exporter_process import Exporter
from tests.support.postgres_polls import opened

QUERIES = {query.name: query for query in read_queries(["postgres"]) if query.name.startswith("patroni")}


class Cluster(NamedTuple):
    etcd: Etcd
    one: Patroni
    two: Patroni


@pytest.fixture(scope="module")
def cluster(servers: Servers) -> Iterator[Cluster]:
    with ExitStack() as stack:
        try:
            etcd = stack.enter_context(Etcd())
            one = stack.enter_context(Patroni(etcd, "one"))
            two = stack.enter_context(Patroni(etcd, "two"))
        except Unavailable as reason:
            servers.skip("patroni", str(reason))
        yield Cluster(etcd, one, two)


@pytest.fixture
async def leader(cluster: Cluster) -> AsyncIterator[PostgresDatastore]:
    async with opened((await _leader(cluster)).target("leader")) as datastore:
        yield datastore


@pytest.fixture
async def replica(cluster: Cluster) -> AsyncIterator[PostgresDatastore]:
    async with opened((await _other(cluster)).target("replica")) as datastore:
        yield datastore


async def _leader(cluster: Cluster) -> Patroni:
    """Wait until one member leads and the other streams: tests before may have changed who."""
    for _ in range(600):
        members = (await asyncio.to_thread(cluster.one.get, "/cluster"))["members"]
        roles = {member["role"]: member["name"] for member in members if member["state"] in ("running", "streaming")}
        if roles.keys() == {"leader", "replica"}:
            return cluster.one if roles["leader"] == "one" else cluster.two
        await asyncio.sleep(0.1)
    raise AssertionError(f"the cluster does not come together: {members}")


async def _other(cluster: Cluster) -> Patroni:
    return cluster.two if await _leader(cluster) is cluster.one else cluster.one


async def eventually(
    datastore: PostgresDatastore, condition: Callable[[Collected], object], only: Iterable[str] = QUERIES
) -> Collected:
    """Poll Patroni's queries until the condition holds: it looks once a second, and restarts whom it demotes."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, asyncpg.PostgresError, NoSessionError):
                collected = await collect_from(datastore, "postgres", only)
                if condition(collected):
                    return collected
            await asyncio.sleep(0.2)


@asynccontextmanager
async def superuser(member: Patroni) -> AsyncIterator[Any]:
    url = f"postgresql://postgres:{PASSWORDS['postgres']}@127.0.0.1:{member.port}/postgres"
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def test_a_healthy_cluster(cluster: Cluster, leader: PostgresDatastore, replica: PostgresDatastore) -> None:
    here = await eventually(leader, lambda now: now.value("pg_patroni_leader") == 1)
    there = await eventually(replica, lambda now: now.value("pg_patroni_lag_bytes") == 0)
    name = (await _leader(cluster)).name
    async with superuser(await _leader(cluster)) as connection:
        timeline = await connection.fetchval("SELECT timeline_id FROM pg_control_checkpoint()")

    assert here.failures == there.failures == {}
    assert here.statuses == there.statuses == {"patroni": "pass"}
    assert here.value("pg_patroni_timeline") == there.value("pg_patroni_timeline") == timeline
    assert here.value("pg_patroni_lag_bytes") is None
    assert there.value("pg_patroni_leader") == 0
    for seen in (here, there):
        assert seen.value("pg_patroni_running") == 1
        assert seen.value("pg_patroni_leaders") == 1
        assert seen.value("pg_patroni_pending_restart") == 0
        assert seen.value("pg_patroni_paused") == 0
        assert seen.value("pg_patroni_cluster_unlocked") == 0
        assert seen.value("pg_patroni_members", role="leader", state="running") == 1
        assert seen.value("pg_patroni_members", role="replica", state="streaming") == 1
        assert sum(value for value in seen.samples["pg_patroni_members"].values() if isinstance(value, float)) == 2
    assert here.value("pg_patroni_info", scope="demo", member=name, role="primary", version="4.1.5") == 1


async def test_a_replica_that_receives_nothing_lags(cluster: Cluster, replica: PostgresDatastore) -> None:
    """Its sender on the leader is stopped: it is behind by what was written since."""
    async with superuser(await _leader(cluster)) as connection:
        sender = await connection.fetchval("SELECT pid FROM pg_stat_replication")
        os.kill(sender, signal.SIGSTOP)
        try:
            await connection.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 5000000))")
            await connection.execute("CREATE TABLE IF NOT EXISTS written (); CHECKPOINT")
            await eventually(replica, lambda now: (now.value("pg_patroni_lag_bytes") or 0) >= 5_000_000)
        finally:
            os.kill(sender, signal.SIGCONT)

    assert (await eventually(replica, lambda now: now.value("pg_patroni_lag_bytes") == 0)).failures == {}


async def test_a_setting_that_waits_and_a_pause_warn(cluster: Cluster, leader: PostgresDatastore) -> None:
    cluster.one.configure(pause=True, postgresql={"parameters": {"max_connections": 77}})
    try:
        seen = await eventually(
            leader,
            lambda now: now.value("pg_patroni_pending_restart") == now.value("pg_patroni_paused") == 1,
            ["patroni"],
        )
    finally:
        cluster.one.configure(pause=None, postgresql={"parameters": {"max_connections": None}})

    assert seen.statuses["patroni"] == "warn"
    assert seen.findings["patroni"] == ("pending restart: max_connections", "paused: there is no automatic failover")
    assert await eventually(leader, lambda now: now.statuses.get("patroni") == "pass", ["patroni"])


async def test_without_etcd_there_is_no_leader(cluster: Cluster, leader: PostgresDatastore) -> None:
    """Patroni steps down and says so; what only etcd knows fails by itself."""
    before = await eventually(leader, lambda now: now.value("pg_patroni_leader") == 1)
    cluster.etcd.freeze()
    try:
        seen = await eventually(leader, lambda now: now.value("pg_patroni_cluster_unlocked") == 1)
    finally:
        cluster.etcd.thaw()
    await _leader(cluster)
    await eventually(
        leader,
        lambda now: (
            now.value("pg_patroni_cluster_unlocked") == 0
            and (now.value("pg_patroni_timeline") or 0) > (before.value("pg_patroni_timeline") or 0)
        ),
    )

    assert seen.value("pg_patroni_leader") == 0
    assert seen.statuses["patroni"] == "fail"
    assert "no leader" in seen.findings["patroni"]
    assert seen.failures.keys() == {"patroni_cluster", "patroni_members"}


async def test_a_frozen_patroni_costs_its_own_queries_alone(cluster: Cluster, replica: PostgresDatastore) -> None:
    member = await _other(cluster)
    assert member.pid is not None
    os.kill(member.pid, signal.SIGSTOP)
    try:
        seen = await collect_from(replica, "postgres", [*QUERIES, "replication"])
    finally:
        os.kill(member.pid, signal.SIGCONT)

    assert {name: failure.partition(":")[0] for name, failure in seen.failures.items()} == dict.fromkeys(
        QUERIES, "timeout"
    )
    assert seen.series["replication"] > 0


async def test_a_member_that_is_gone_is_counted_no_more(cluster: Cluster, leader: PostgresDatastore) -> None:
    other = await _other(cluster)
    await asyncio.to_thread(other.stop)
    try:
        seen = await eventually(
            leader, lambda now: now.value("pg_patroni_members", role="replica", state="streaming") == 0
        )
    finally:
        await asyncio.to_thread(other.start)

    assert seen.value("pg_patroni_leaders") == 1
    assert seen.value("pg_patroni_members", role="leader", state="running") == 1


def test_the_service_asks_patroni_where_it_is_configured(cluster: Cluster) -> None:
    """A Patroni that is not there fails its queries; a target without one has none of these."""
    gone = f"http://127.0.0.1:{free_port()}"
    targets = [cluster.one.target("with"), cluster.two.target("gone", patroni=gone)]
    targets.append({key: value for key, value in cluster.two.target("without").items() if key != "patroni"})
    with Exporter(targets) as exporter:
        exporter.wait(lambda: exporter.value("pg_patroni_leaders", target="with") == 1, "Patroni to be read", 60)
        exporter.wait(
            lambda: exporter.value("datatier_query_success", target="gone", query="patroni") == 0, "a failure"
        )
        health = exporter.health()
        samples = exporter.samples()

        assert {dict(labels)["target"] for labels in samples["pg_patroni_running"]} == {"with"}
        assert samples["pg_up"].keys() == {(("target", name),) for name in ("with", "gone", "without")}
        assert set(samples["pg_up"].values()) == {1}
        assert "with:patroni" in health["checks"]
        assert "without:patroni" not in health["checks"]
        failing = {entry["query"]: entry["reason"] for entry in health["targets"]["gone"]["failing_queries"]}
        assert failing["patroni"] == "connect"
        assert exporter.stop() == 0
    assert gone not in exporter.last_log
