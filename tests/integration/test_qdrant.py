"""Qdrant's queries against a server: known changes show as numbers, and bad days as reasons.

The server is the double, which puts HTTP over Qdrant's own engine, or the one of QDRANT_TEST_URL; scenes (a
collection that does not load, a cluster) and stopped servers are the double's alone.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.datastores.qdrant.canary import SearchParams
from exporter.query import HistogramValue, Query, QueryError, Reason
from exporter.query_files import load_queries, load_query
from exporter.yaml_file import ConfigError
from tests.integration.collect import Collected, collect, collect_from, target_of
from tests.servers.qdrant import Qdrant
from tests.servers.session import Servers

pytestmark = pytest.mark.servers("qdrant")

CLUSTER_ONLY = {"cluster", "cluster_messages", "cluster_peers", "cluster_role", "collection_replicas"}


class Admin:
    """Change the server as its users do."""

    def __init__(self, server: Qdrant) -> None:
        headers = {"api-key": server.api_key} if server.api_key else {}
        self._client = httpx.Client(base_url=server.url, headers=headers, timeout=30)

    def send(self, method: str, path: str, body: object = None) -> Any:
        answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()["result"]

    def create(self, name: str, vectors: object = None, **settings: object) -> None:
        self.send("PUT", f"/collections/{name}", {"vectors": vectors or {"size": 4, "distance": "Cosine"}, **settings})

    def upsert(self, name: str, ids: range, **vector: object) -> None:
        dice = random.Random(7)
        points = [
            {
                "id": i,
                "vector": vector or [dice.random() for _ in range(4)],
                "payload": {"parity": ["even", "odd"][i % 2]},
            }
            for i in ids
        ]
        self.send("PUT", f"/collections/{name}/points?wait=true", {"points": points})

    def delete(self, name: str, ids: range) -> None:
        self.send("POST", f"/collections/{name}/points/delete?wait=true", {"points": list(ids)})

    def search(self, name: str) -> None:
        self.send("POST", f"/collections/{name}/points/query", {"query": [1, 0, 0, 0], "limit": 3})

    def drop(self, name: str) -> None:
        self.send("DELETE", f"/collections/{name}")

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def server(servers: Servers) -> Qdrant:
    return servers.qdrant()


@pytest.fixture
def admin(server: Qdrant) -> Iterator[Admin]:
    admin = Admin(server)
    yield admin
    admin.close()


@pytest.fixture
def name(admin: Admin) -> Iterator[str]:
    """Make a collection of its own for a test."""
    name = f"test_{random.randrange(10**9)}"
    admin.create(name)
    yield name
    admin.drop(name)


@pytest.fixture(scope="module")
def stage(servers: Servers) -> Iterator[Qdrant]:
    """Return a double of our own, with the collection `docs` of 3 shards and 30 points."""
    with servers.private_qdrant() as server:
        admin = Admin(server)
        admin.create("docs", shard_number=3, replication_factor=2)
        admin.create("notes")
        admin.upsert("docs", range(30))
        admin.close()
        yield server


@pytest.fixture
def scene(stage: Qdrant) -> Iterator[Qdrant]:
    yield stage
    stage.scene()


def _query(name: str) -> Query:
    return next(query for query in load_queries(["qdrant"]) if query.name == name)


def _status(collected: Collected, collection: str) -> str:
    series = collected.samples["qdrant_collection_status"]
    [found] = [
        dict(labels)["status"] for labels, has in series.items() if has and dict(labels)["collection"] == collection
    ]
    return found


async def test_every_query_yields_series_or_says_why_not(server: Qdrant, name: str, admin: Admin) -> None:
    """No query fails; what a single server has not is a capability with its reason."""
    admin.upsert(name, range(5))
    found = await collect(server.target("q"))
    declared = {
        metric.name
        for query in load_queries(["qdrant"])
        if query.name not in found.unsupported
        for metric in query.metrics
    }

    reasons = {query: reason for query, reason in found.unsupported.items() if "needs version" not in reason}

    assert found.failures == {}
    assert reasons == dict.fromkeys(CLUSTER_ONLY, "unsupported: cluster mode is disabled")
    missing = declared - {metric for metric, series in found.samples.items() if series}
    assert missing <= {  # there is no snapshot, and a server measures its CPU only after a while
        "qdrant_system_cpu_cores_used",
        "datatier_backup_last_success_timestamp_seconds",
        "datatier_backup_last_size_bytes",
        "datatier_backup_oldest_timestamp_seconds",
    }
    assert found.verdicts == dict.fromkeys(
        ("collections", "processLimits", "ready", "recoveryMode", "replicationLag"), "pass"
    )


@pytest.mark.parametrize("version", ["1.9.7", "1.13.6", "1.16.0", "1.20.0"])
@pytest.mark.usefixtures("stage")
async def test_other_versions(version: str) -> None:
    """What an older server has not is a capability with the version it needs; nothing fails."""
    with Qdrant(version=version) as server:
        admin = Admin(server)
        admin.create("docs")
        admin.upsert("docs", range(5))
        admin.search("docs")
        admin.close()
        found = await collect(server.target("q"))
    durations = found.samples["qdrant_request_duration_seconds"][("operation", "search"), ("protocol", "rest")]

    assert found.info.version == version
    assert found.failures == {}
    assert all("needs version" in why or "cluster mode" in why for why in found.unsupported.values())
    assert found.value("qdrant_collections") == 1
    assert isinstance(durations, HistogramValue)
    assert durations.buckets[-1][1] == 1


async def test_points_are_counted(server: Qdrant, name: str, admin: Admin) -> None:
    """Upserted points appear, deleted ones go."""
    admin.upsert(name, range(120))
    many = await collect(server.target("q"), ["collection", "collection_vectors", "collections", "collection_status"])
    admin.delete(name, range(100))
    few = await collect(server.target("q"), ["collection", "collection_vectors"])

    assert many.value("qdrant_collection_points", collection=name) == 120
    assert many.value("qdrant_collection_vectors", collection=name, vector="") == 120
    assert many.value("qdrant_collection_shards", collection=name) == 1
    assert few.value("qdrant_collection_points", collection=name) == 20
    assert _status(many, name) in ("green", "yellow")


async def test_collections_come_and_go(server: Qdrant, admin: Admin) -> None:
    """A new collection is counted, a dropped one leaves no series behind."""
    before = await collect(server.target("q"), ["collections"])
    admin.create("passing_by", {"title": {"size": 4, "distance": "Dot"}, "body": {"size": 2, "distance": "Cosine"}})
    try:
        admin.upsert("passing_by", range(3), title=[1, 0, 0, 0])
        admin.upsert("passing_by", range(3, 5), title=[1, 0, 0, 0], body=[0, 1])
        there = await collect(server.target("q"))
    finally:
        admin.drop("passing_by")
    gone = await collect(server.target("q"))
    count = before.value("qdrant_collections")

    assert count is not None
    assert there.value("qdrant_collections") == count + 1
    assert there.value("qdrant_collection_vectors", collection="passing_by", vector="title") == 5
    assert there.value("qdrant_collection_vectors", collection="passing_by", vector="body") == 2
    assert gone.value("qdrant_collections") == count
    assert not [key for series in gone.samples.values() for key in series if "passing_by" in str(key)]


async def test_requests_are_counted_and_timed(server: Qdrant, name: str, admin: Admin) -> None:
    """Eleven searches are eleven more requests, and eleven more in the histogram."""

    def durations(found: Collected) -> float:
        value = found.samples["qdrant_request_duration_seconds"][("operation", "search"), ("protocol", "rest")]
        assert isinstance(value, HistogramValue)
        return value.buckets[-1][1]

    async def look() -> tuple[float, float]:
        found = await collect(server.target("q"), ["requests", "request_duration"])
        count = found.value("qdrant_requests_total", protocol="rest", operation="search", status="200")
        return count or 0.0, durations(found)

    admin.upsert(name, range(10))
    requests, timed = await look()
    for _ in range(11):
        admin.search(name)

    assert await look() == (requests + 11, timed + 11)


async def test_snapshots_are_backups(server: Qdrant, name: str, admin: Admin) -> None:
    """A snapshot counts, with its size, and was made just now."""
    began = time.time()
    admin.upsert(name, range(10))
    admin.send("POST", f"/collections/{name}/snapshots?wait=true")
    found = await collect(server.target("q"), ["snapshots"])
    check = f"snapshot:{name}"

    assert found.value("datatier_backups", check=check) == 1
    assert (found.value("datatier_backup_last_size_bytes", check=check) or 0) > 0
    newest = found.value("datatier_backup_last_success_timestamp_seconds", check=check)
    assert newest == pytest.approx(began, abs=120)


@pytest.fixture
def canaries(tmp_path: Path, name: str) -> tuple[Path]:
    """Write the query files of a user who searches and counts in a collection of theirs."""
    folder = tmp_path / "qdrant"
    folder.mkdir()
    (folder / "search.yaml").write_text(
        f"operation: search\nparams: {{collection: {name}, limit: 3}}\ntiming: true\n"
        "metrics:\n"
        '  my_hits: {type: gauge, help: "Hits.", value: hits}\n'
        '  my_search_seconds: {type: gauge, help: "Time on the server.", value: server_seconds}\n'
    )
    (folder / "search_even.yaml").write_text(
        f"operation: search\ntiming: true\nparams:\n  collection: {name}\n  vector: [1, 0, 0, 0]\n  exact: true\n"
        "  hnsw_ef: 64\n  filter: {must: [{key: parity, match: {value: even}}]}\n"
        'metrics: {my_even_hits: {type: gauge, help: "Hits.", value: hits}}\n'
    )
    (folder / "count_even.yaml").write_text(
        f"operation: count\nparams:\n  collection: {name}\n  exact: true\n"
        "  filter: {must: [{key: parity, match: {value: even}}]}\n"
        'metrics: {my_even_points: {type: gauge, help: "Points.", value: points}}\n'
    )
    return (tmp_path,)


OWN = ["search", "search_even", "count_even"]


async def test_a_users_canary_search(server: Qdrant, name: str, admin: Admin, canaries: tuple[Path]) -> None:
    """A search by stored points and one by a vector with a filter both hit; a count counts."""
    admin.upsert(name, range(12))
    found = await collect(server.target("q"), OWN, canaries)

    assert found.failures == {}
    assert found.value("my_hits") == 3
    assert found.value("my_even_hits") == 6
    assert found.value("my_even_points") == 6
    assert (found.value("my_search_seconds") or 0) > 0


async def test_a_canary_outlives_its_points(server: Qdrant, name: str, admin: Admin, canaries: tuple[Path]) -> None:
    """Sampled points that were deleted fail one search; the next takes others."""
    admin.upsert(name, range(12))
    async with open_datastore(target_of(server.target("q"))) as datastore:
        await collect_from(datastore, "qdrant", OWN, canaries)
        admin.delete(name, range(12))
        admin.upsert(name, range(100, 105))
        second = await collect_from(datastore, "qdrant", OWN, canaries)
        third = await collect_from(datastore, "qdrant", OWN, canaries)

    assert "search" in second.failures
    assert third.failures == {}
    assert third.value("my_hits") == 3


async def test_a_canary_on_nothing(server: Qdrant, name: str, admin: Admin, canaries: tuple[Path]) -> None:
    """An empty collection has no point to search with, one that is gone is an error: both say so."""
    empty = await collect(server.target("q"), OWN, canaries)
    admin.drop(name)
    gone = await collect(server.target("q"), OWN, canaries)

    assert "holds no point" in empty.failures["search"]
    assert empty.value("my_even_points") == 0
    assert {failure.partition(":")[0] for failure in gone.failures.values()} == {"query"}
    assert set(gone.failures) == set(OWN)


@pytest.mark.parametrize("wrong", ["filter: {most: []}", "filter: {must: [{key: 1}]}", "vector: []", "limit: 0"])
def test_a_wrong_search_is_refused_at_start_up(tmp_path: Path, wrong: str) -> None:
    """What Qdrant would refuse at every poll is told once, with the file."""
    file = tmp_path / "search.yaml"
    file.write_text(f"operation: search\ntiming: true\nparams: {{collection: docs, {wrong}}}\n")

    with pytest.raises(ConfigError, match=str(file)):
        load_query(file, "qdrant")


def test_the_client_is_imported_for_canaries_alone() -> None:
    """Qdrant's own client costs 75 MiB: monitoring does without, and loading query files without HTTP too."""
    code = (
        "import sys; from exporter.query_files import load_queries; load_queries(['qdrant']);"
        "assert 'httpx' not in sys.modules; import exporter.datastores.qdrant.client;"
        "assert not [m for m in sys.modules if m.startswith(('qdrant_client', 'grpc', 'numpy'))]"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


async def test_keys(servers: Servers) -> None:
    """A wrong key and none are `auth`; the read-only key reads everything, the canary included."""
    with servers.private_qdrant("full-key", "reading-key") as server:
        admin = Admin(server)
        admin.create("docs")
        admin.upsert("docs", range(5))
        admin.close()
        for key in ({"api_key": "wrong"}, {"api_key": None}):
            with pytest.raises(QueryError) as error:
                await collect(server.target("q") | key)

            assert error.value.reason == "auth"
        found = await collect(server.target("q", api_key="reading-key"))

    assert found.failures == {}
    assert set(found.unsupported) == CLUSTER_ONLY
    assert found.info.missing_privileges == {}
    assert found.value("qdrant_collection_points", collection="docs") == 5


async def test_a_red_collection(scene: Qdrant) -> None:
    """Red is in the status and fails the check; ready says nothing of it."""
    scene.scene(status={"docs": "red"}, optimizer_error={"docs": "out of disk"})
    found = await collect(scene.target("q"))

    assert (_status(found, "docs"), _status(found, "notes")) == ("red", "green")
    assert found.value("qdrant_collection_optimizer_ok", collection="docs") == 0
    assert found.verdicts["collections"] == "fail"
    assert found.verdicts["ready"] == "pass"
    assert found.failures == {}


@pytest.mark.parametrize("status", ["yellow", "grey"])
async def test_optimizing_is_normal(scene: Qdrant, status: str) -> None:
    """Yellow and grey are told and fail nothing."""
    scene.scene(status={"docs": status})
    found = await collect(scene.target("q"), ["collections", "collection_status"])

    assert _status(found, "docs") == status
    assert found.verdicts == {"collections": "pass"}


async def test_a_collection_that_failed_to_load(scene: Qdrant) -> None:
    """Green and ready everywhere else, here it fails: its status, its shards, both checks."""
    scene.scene(failed=["docs"])
    found = await collect(scene.target("q"))

    assert found.failures == {}
    assert _status(found, "docs") == "failed"
    assert found.value("qdrant_collection_shards_failed_load", collection="docs") == 3
    assert found.value("qdrant_collection_shards_failed_load", collection="notes") == 0
    assert found.value("qdrant_collection_points", collection="docs") is None
    assert (found.verdicts["collections"], found.verdicts["replicationLag"]) == ("fail", "fail")
    assert found.verdicts["ready"] == "pass"


async def test_recovery_mode_and_not_ready(scene: Qdrant) -> None:
    """Recovery mode fails its check; a server that is not ready warns."""
    scene.scene(recovery_mode=True, ready=False)
    found = await collect(scene.target("q"))

    assert found.failures == {}
    assert found.value("qdrant_recovery_mode") == 1
    assert found.value("qdrant_ready") == 0
    assert (found.verdicts["recoveryMode"], found.verdicts["ready"]) == ("fail", "warn")


async def test_a_cluster_with_a_dead_peer(scene: Qdrant) -> None:
    """The dead peer shows in messages at once, in replicas after the next write; nothing fails to be read."""
    scene.scene(peers=3, dead=[1])
    before = await collect(scene.target("q"))
    admin = Admin(scene)
    admin.upsert("docs", range(30, 33))
    admin.close()
    after = await collect(scene.target("q"), ["cluster", "collection", "collection_replicas", "replication"])

    assert before.info.role == "peer"
    assert set(before.failures) <= {"collection_memory"}  # it asks every peer
    assert before.unsupported == {}
    assert before.verdicts["cluster"] == "warn"
    assert before.value("qdrant_cluster_peers") == 3
    assert sorted(before.samples["qdrant_cluster_peer_responsive"].values()) == [0.0, 1.0, 1.0]  # type: ignore[type-var]  # numbers
    assert sorted(v > 0 for v in before.samples["qdrant_cluster_message_send_failures"].values()) == [False, True]  # type: ignore[operator]  # numbers
    assert before.value("qdrant_collection_shard_replicas", collection="docs", state="Active") == 6
    assert before.verdicts["replicationLag"] == "pass"  # the server itself does not know yet
    assert after.value("qdrant_collection_shard_replicas", collection="docs", state="Dead") == 2
    assert after.value("qdrant_collection_under_replicated_shards", collection="docs") == 2
    assert after.value("qdrant_collection_shards_without_active_replica", collection="docs") == 0
    assert after.verdicts["replicationLag"] == "warn"


async def test_a_cluster_without_a_leader(scene: Qdrant) -> None:
    """Without a leader the check fails, and the role says what this peer is instead."""
    scene.scene(peers=3, has_leader=False)
    found = await collect(scene.target("q"), ["cluster", "cluster_role"])

    assert found.value("qdrant_cluster_has_leader") == 0
    assert found.value("qdrant_cluster_role", role="candidate") == 1
    assert found.value("qdrant_cluster_role", role="leader") == 0
    assert found.verdicts["cluster"] == "fail"


CANARY = Query(name="search", store="qdrant", operation="search", params=SearchParams(collection="docs"), timing=True)


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


async def test_one_slow_page_costs_its_own_queries(scene: Qdrant) -> None:
    """A telemetry that hangs takes what is read from it, and neither the ping nor the other pages."""
    async with open_datastore(target_of(scene.target("q"))) as datastore:
        await datastore.ping()
        scene.scene(delay={"/telemetry": 2.0})
        reasons = await _within(0.3, datastore, _query("ready"), _query("collections"))
        scene.scene()

    assert reasons == ["timeout"]


async def test_a_frozen_server(servers: Servers) -> None:
    """Ping and fetch end at their deadline, nothing is left open, and all is well after the thaw."""
    queries = (_query("collections"), _query("requests"), _query("ready"), CANARY)
    with servers.private_qdrant() as server:
        admin = Admin(server)
        admin.create("docs")
        admin.upsert("docs", range(20))
        admin.close()
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


async def test_a_stopped_and_restarted_server(servers: Servers) -> None:
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
