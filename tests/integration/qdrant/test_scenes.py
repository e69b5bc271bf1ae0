"""Qdrant's faults show as reasons: scenes, other versions, and servers that are slow, frozen or stopped.

The server is the double: a real one neither fails to load a collection nor loses a peer on command.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.datastores.qdrant.canary import SearchParams
from exporter.errors import Reason
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Query
from exporter.settings import read_queries
from testkit.qdrant import Qdrant
from testkit.session import Servers
from tests.support.collect import collect, collect_from, target_of
from tests.support.qdrant_admin import Admin, status_of

CANARY = Query(name="search", store="qdrant", operation="search", params=SearchParams(collection="docs"), timing=True)


@pytest.fixture(scope="module")
def stage(servers: Servers) -> Iterator[Qdrant]:
    """Return a double of our own, with the collection `docs` of 3 shards and 30 points."""
    with servers.private_qdrant() as server:
        admin = Admin(server)
        admin.create("docs", shard_number=3, replication_factor=2)
        admin.create("notes")
        admin.upsert("docs", range(30))
        yield server


@pytest.fixture
def scene(stage: Qdrant) -> Iterator[Qdrant]:
    yield stage
    stage.scene()


def _query(name: str) -> Query:
    return next(query for query in read_queries(["qdrant"]) if query.name == name)


@pytest.mark.parametrize("version", ["1.9.7", "1.13.6", "1.16.0", "1.20.0"])
@pytest.mark.usefixtures("stage")
async def test_other_versions_name_what_they_lack(version: str) -> None:
    """A feature that an older server lacks is a capability with the version it needs; nothing fails."""
    with Qdrant(version=version) as server:
        admin = Admin(server)
        admin.create("docs")
        admin.upsert("docs", range(5))
        admin.search("docs")
        found = await collect(server.target("q"))
    durations = found.samples["qdrant_request_duration_seconds"][("operation", "search"), ("protocol", "rest")]

    assert found.info.version == version
    assert found.failures == {}
    assert all("needs version" in why or "cluster mode" in why for why in found.unsupported.values())
    assert found.value("qdrant_collections") == 1
    assert isinstance(durations, HistogramValue)
    assert durations.buckets[-1][1] == 1


async def test_red_collection_fails_its_check(scene: Qdrant) -> None:
    """Red is in the status and fails the check; the server stays ready."""
    scene.scene(status={"docs": "red"}, optimizer_error={"docs": "out of disk"})
    found = await collect(scene.target("q"))

    assert (status_of(found, "docs"), status_of(found, "notes")) == ("red", "green")
    assert found.value("qdrant_collection_optimizer_ok", collection="docs") == 0
    assert found.statuses["collections"] == "fail"
    assert found.statuses["ready"] == "pass"
    assert found.failures == {}


@pytest.mark.parametrize("status", ["yellow", "grey"])
async def test_optimizing_is_normal(scene: Qdrant, status: str) -> None:
    """Yellow and grey are shown and fail no check."""
    scene.scene(status={"docs": status})
    found = await collect(scene.target("q"), ["collections", "collection_status"])

    assert status_of(found, "docs") == status
    assert found.statuses == {"collections": "pass"}


async def test_collection_that_failed_to_load_fails_both_checks(scene: Qdrant) -> None:
    """Green and ready everywhere else, here it fails: its status, its shards, both checks."""
    scene.scene(failed=["docs"])
    found = await collect(scene.target("q"))

    assert found.failures == {}
    assert status_of(found, "docs") == "failed"
    assert found.value("qdrant_collection_shards_failed_load", collection="docs") == 3
    assert found.value("qdrant_collection_shards_failed_load", collection="notes") == 0
    assert found.value("qdrant_collection_points", collection="docs") is None
    assert (found.statuses["collections"], found.statuses["replicationLag"]) == ("fail", "fail")
    assert found.statuses["ready"] == "pass"


async def test_recovery_mode_fails_and_not_ready_warns(scene: Qdrant) -> None:
    """Recovery mode fails its check; a server that is not ready warns."""
    scene.scene(recovery_mode=True, ready=False)
    found = await collect(scene.target("q"))

    assert found.failures == {}
    assert found.value("qdrant_recovery_mode") == 1
    assert found.value("qdrant_ready") == 0
    assert (found.statuses["recoveryMode"], found.statuses["ready"]) == ("fail", "warn")


async def test_cluster_with_a_dead_peer_warns(scene: Qdrant) -> None:
    """The dead peer shows in messages at once, in replicas after the next write; nothing fails to be read."""
    scene.scene(peers=3, dead=[1])
    before = await collect(scene.target("q"))
    admin = Admin(scene)
    admin.upsert("docs", range(30, 33))
    after = await collect(scene.target("q"), ["cluster", "collection", "collection_replicas", "replication"])

    assert before.info.role == "peer"
    assert set(before.failures) <= {"collection_memory"}  # it needs every peer
    assert before.unsupported == {}
    assert before.statuses["cluster"] == "warn"
    assert before.value("qdrant_cluster_peers") == 3
    assert sorted(before.samples["qdrant_cluster_peer_responsive"].values()) == [0.0, 1.0, 1.0]  # type: ignore[type-var]  # numbers
    assert sorted(v > 0 for v in before.samples["qdrant_cluster_message_send_failures"].values()) == [False, True]  # type: ignore[operator]  # numbers
    assert before.value("qdrant_collection_shard_replicas", collection="docs", state="Active") == 6
    assert before.statuses["replicationLag"] == "pass"  # the server itself does not know yet
    assert after.value("qdrant_collection_shard_replicas", collection="docs", state="Dead") == 2
    assert after.value("qdrant_collection_under_replicated_shards", collection="docs") == 2
    assert after.value("qdrant_collection_shards_without_active_replica", collection="docs") == 0
    assert after.statuses["replicationLag"] == "warn"


async def test_cluster_without_a_leader_fails(scene: Qdrant) -> None:
    """Without a leader the check fails, and the role shows what this peer is instead."""
    scene.scene(peers=3, has_leader=False)
    found = await collect(scene.target("q"), ["cluster", "cluster_role"])

    assert found.value("qdrant_cluster_has_leader") == 0
    assert found.value("qdrant_cluster_role", role="candidate") == 1
    assert found.value("qdrant_cluster_role", role="leader") == 0
    assert found.statuses["cluster"] == "fail"


async def _within(seconds: float, datastore: Datastore, *queries: Query) -> list[Reason]:
    """Ping and fetch as the poller does, each under a deadline; return the reasons of what failed."""
    reasons: list[Reason] = []

    async def attempt(work: Any) -> None:
        try:
            async with asyncio.timeout(seconds):
                await work
        except Exception as error:  # noqa: BLE001 - what the poller does, too
            reasons.append(datastore.reason(error))

    await attempt(datastore.ping())
    async with datastore.session("fast") as session:
        for query in queries:
            await attempt(session.fetch(query))
    return reasons


async def test_slow_page_fails_only_its_own_queries(scene: Qdrant) -> None:
    """A telemetry that hangs fails its own queries, and neither the ping nor those of other pages."""
    async with open_datastore(target_of(scene.target("q"))) as datastore:
        await datastore.ping()
        scene.scene(delay={"/telemetry": 2.0})
        reasons = await _within(0.3, datastore, _query("ready"), _query("collections"))
        scene.scene()

    assert reasons == ["timeout"]


async def test_frozen_server_ends_at_the_deadline(servers: Servers) -> None:
    """Ping and fetch end at their deadline, nothing is left open, and all is well after the thaw."""
    queries = (_query("collections"), _query("requests"), _query("ready"), CANARY)
    with servers.private_qdrant() as server:
        admin = Admin(server)
        admin.create("docs")
        admin.upsert("docs", range(20))
        open_before = _open_files()
        async with open_datastore(target_of(server.target("q"))) as datastore:
            assert await _within(5, datastore, *queries) == []
            server.freeze()
            for _ in range(5):
                assert await _within(0.1, datastore, *queries) == ["timeout"] * 5
            assert _open_files() - open_before <= 6
            server.thaw()
            assert await _within(10, datastore, *queries) == []
            server.freeze()
            assert await _within(0.1, datastore) == ["timeout"]
        assert _open_files() == open_before
        server.thaw()


async def test_restarted_server_counts_from_zero(servers: Servers) -> None:
    """Down is `connect`; back again it is another start, and counts from 0."""
    with servers.private_qdrant() as server:
        async with open_datastore(target_of(server.target("q"))) as datastore:
            before = await collect_from(datastore, "qdrant", ["collections"])
            server.stop()
            assert await _within(5, datastore) == ["connect"]
            server.start()
            after = await collect_from(datastore, "qdrant", ["collections"])

    assert before.info.started_at is not None
    assert after.info.started_at is not None
    assert after.info.started_at > before.info.started_at
    assert after.failures == {}


def _open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0
