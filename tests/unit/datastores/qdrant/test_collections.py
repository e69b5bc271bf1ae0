"""Collections, shards and the cluster, from recorded pages of a real server."""

from typing import Any

import pytest

from exporter.datastores.qdrant.collection_config import config_rows
from exporter.datastores.qdrant.collections import (
    collection_rows,
    collections_of,
    optimization_rows,
    replica_rows,
    replication_rows,
    status_rows,
    summary_rows,
    vector_rows,
)
from exporter.datastores.qdrant.expensive_rows import index_rows, segment_rows
from exporter.datastores.qdrant.server_rows import (
    cluster_rows,
    memory_rows,
    peer_rows,
    server_rows,
    unreachable_peer_rows,
)
from exporter.queries.query import Row
from tests.support.qdrant_recorded import page

TELEMETRY = "/telemetry?details_level=3"
SEGMENTS = "/telemetry?details_level=4"


def _one(rows: list[Row], **labels: object) -> Row:
    [row] = [row for row in rows if labels.items() <= row.items()]
    return row


def _telemetry(**collections: str | None) -> dict[str, Any]:
    """Make a page of collections with one shard each, of this status and 10 points."""
    pages = [
        {
            "id": name,
            "shards": [{"id": 0, "local": {"status": status, "num_points": 10}, "replicate_states": {"1": "Active"}}],
        }
        for name, status in collections.items()
    ]
    return {"collections": {"number_of_collections": len(pages), "collections": pages}}


def test_numbers_of_collections() -> None:
    """Points, vectors by name, optimizer and threshold are those of the server."""
    telemetry = page("2-two-collections", TELEMETRY)
    found = collections_of(telemetry, 200)
    docs = _one(collection_rows(telemetry, found), collection="docs")

    assert summary_rows(telemetry) == [{"collections": 2.0, "verdict": "pass"}]
    assert (docs["points"], docs["optimizer_ok"], docs["update_queue"]) == (5000.0, True, 0.0)
    assert (docs["indexing_threshold_bytes"], docs["snapshots_created"]) == (102400.0, 1.0)
    assert _one(vector_rows(found), collection="named", vector="words")["vectors"] == 50.0
    assert _one(vector_rows(found), collection="docs")["vector"] == ""
    assert _one(optimization_rows(found), collection="docs") == {
        "collection": "docs", "shard": "0", "optimized_points": 15000.0, "optimizations": 7.0, "failures": 0.0,
        "seconds": pytest.approx(3.657994),
    }  # fmt: skip


def test_segments_and_indexed_vectors() -> None:
    """Level 4 contains segments, and the indexed vectors of each."""
    found = collections_of(page("2-two-collections", SEGMENTS), 200)

    assert _one(segment_rows(found), collection="docs") == {
        "collection": "docs",
        "segments": 2.0,
        "deleted_vectors": 0.0,
    }
    assert _one(index_rows(found), collection="docs")["indexed"] == 5000.0


def test_collection_that_failed_to_load_is_not_green() -> None:
    """Its status is green, ready and Active for the server; only the dummy shard shows the failure."""
    telemetry = page("7-collection-failed-to-load", TELEMETRY)
    found = collections_of(telemetry, 200)
    docs = _one(collection_rows(telemetry, found), collection="docs")

    assert found[0].name == "docs"
    assert [row["status"] for row in status_rows(found) if row["has"]] == ["failed", "green"]
    assert (docs["shards_failed_load"], docs["shards_without_active_replica"], docs["points"]) == (1, 1, None)
    assert summary_rows(telemetry)[0]["verdict"] == "fail"
    assert replication_rows(telemetry)[0]["verdict"] == "fail"
    assert [row["collection"] for row in optimization_rows(found)] == ["named"]


def test_dead_peer_shows_in_replicas_after_a_write() -> None:
    """Two of six replicas are Dead: under-replicated, but every shard can still be read."""
    telemetry = page("5-cluster-one-peer-killed", TELEMETRY)
    found = collections_of(telemetry, 200)
    states = {row["state"]: row["replicas"] for row in replica_rows(found)}

    assert (states["Active"], states["Dead"], len(states)) == (4, 2, 12)
    assert [state for state, replicas in states.items() if replicas] == ["Active", "Dead"]
    assert replication_rows(telemetry) == [
        {"inactive": 2, "without_active": 0, "under_replicated": 2, "verdict": "warn"}
    ]


def test_dead_peer_shows_in_messages_at_once() -> None:
    """Consensus goes on, one peer cannot be reached, and no address becomes a label."""
    cluster = page("5-cluster-one-peer-killed", "/cluster")
    peers = unreachable_peer_rows(cluster)

    assert _one(cluster_rows(cluster))["verdict"] == "warn"
    assert _one(cluster_rows(cluster))["peers"] == 3.0
    assert _one(peers, peer_id="387509748009420")["failures"] == 33.0
    assert _one(peers, peer_id="519850995418715")["failures"] == 0.0
    assert len(peers) == 2
    assert "127.0.0.1" not in str(peers)


def test_cluster_telemetry_shows_unresponsive_peers() -> None:
    """A killed and a frozen peer are not responsive; their missing values are no samples."""
    rows = peer_rows(page("6-cluster-one-killed-one-frozen", "/cluster/telemetry"))

    assert sorted((row["responsive"], row["commit"]) for row in rows if row["commit"]) == [(1.0, 18.0)]
    assert [row["commit"] for row in rows].count(None) == 2


def test_cluster_without_leader_fails() -> None:
    """Without a leader nothing can be changed."""
    cluster = {**page("5-cluster-one-peer-killed", "/cluster"), "raft_info": {"term": 3, "leader": None}}

    assert cluster_rows(cluster)[0]["verdict"] == "fail"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("green", "pass"),
        ("yellow", "pass"),
        ("grey", "pass"),
        ("red", "fail"),
        ("violet", "unknown"),
        (None, "unknown"),
    ],
)
def test_collection_status_gives_the_verdict(status: str | None, verdict: str) -> None:
    """Red fails; optimizing and waiting to optimize are normal; a status of tomorrow is unknown."""
    telemetry = _telemetry(fine="green", other=status)

    assert summary_rows(telemetry)[0]["verdict"] == verdict


def test_points_before_1_14_come_from_segments() -> None:
    """A shard has no number of points there; its segments have, on the same page."""
    telemetry = _telemetry(a="green")
    segments = [{"info": {"num_points": 3}}, {"info": {"num_points": 4}}]
    telemetry["collections"]["collections"][0]["shards"][0]["local"] = {
        "variant_name": "local shard",
        "segments": segments,
    }

    assert collections_of(telemetry, 1)[0].points == 7.0


def test_exactly_one_status_is_set() -> None:
    """Each collection has every status, 1 for one of them."""
    rows = status_rows(collections_of(_telemetry(a="green", b="violet"), 200))

    assert len(rows) == 12
    assert [(row["collection"], row["status"]) for row in rows if row["has"]] == [("b", "unknown"), ("a", "green")]


def test_bound_keeps_collections_in_trouble() -> None:
    """Of too many collections the broken one stays, then the largest."""
    telemetry = _telemetry(a="green", b="red", c="green")
    telemetry["collections"]["collections"][2]["shards"][0]["local"]["num_points"] = 99

    assert [collection.name for collection in collections_of(telemetry, 2)] == ["b", "c"]


def test_collection_of_other_peers_has_no_status() -> None:
    """The peer that holds it reports its status; here it has no row."""
    telemetry = _telemetry(a="green")
    telemetry["collections"]["collections"][0]["shards"][0]["local"] = None

    assert status_rows(collections_of(telemetry, 200)) == []
    assert summary_rows(telemetry)[0]["verdict"] == "pass"


def test_key_for_single_collections_sees_no_cluster() -> None:
    """Pages without what the key may not see give no sample, and raise nothing."""
    assert server_rows({"app": {"features": {}}}, "1.18.3")[0]["recovery_mode"] is None
    assert memory_rows({}) == []
    assert collection_rows({}, []) == []


@pytest.mark.parametrize(
    ("in_container", "version", "ratio"),
    [(True, "1.18.3", None), (False, "1.18.3", 0.25), (True, "1.19.0", 0.25), (None, "1.13.0", None)],
)
def test_memory_ratio_uses_the_servers_own_limit(in_container: bool | None, version: str, ratio: float | None) -> None:  # noqa: FBT001 - a parameter of the test
    """Before 1.19 a server in a container states the machine's memory: no ratio rather than a wrong one."""
    system = {"ram_size": 4, "is_docker": in_container}
    telemetry = {"app": {"system": system}, "memory": {"resident_bytes": 1024}}

    assert server_rows(telemetry, version)[0]["memory_used_ratio"] == ratio


def test_configuration_has_a_row_a_vector() -> None:
    """A row a vector: unnamed, named and sparse, with the collection's settings where it has none of its own."""
    rows = config_rows(collections_of(page("2-two-collections", TELEMETRY), 200))

    docs, body, words = (
        _one(rows, collection="docs"),
        _one(rows, collection="named", vector="body"),
        _one(rows, collection="named", vector="words"),
    )
    assert (docs["vector"], docs["size"], docs["quantization"], docs["hnsw_m"]) == ("", 64, "scalar", 16)
    assert (body["on_disk"], body["quantization"], body["datatype"]) == (True, "none", "float32")
    assert (words["distance"], words["size"]) == ("sparse", None)
