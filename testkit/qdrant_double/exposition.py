"""GET /metrics: the families in the server's order, with its help texts, labels and spelling of numbers."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from testkit.qdrant_double import cluster, machine
from testkit.qdrant_double.calls import Call
from testkit.qdrant_double.collection import Collection
from testkit.qdrant_double.help import HELP
from testkit.qdrant_double.request_families import request_families
from testkit.qdrant_double.state import HARDWARE, State

Labels = dict[str, str]
Samples = list[tuple[Labels, float]]
HASHED = ("id", "collection", "vector")


@dataclass(frozen=True)
class Family:
    """One metric family; without samples it is not there at all. `since` is the version that brought it."""

    name: str
    samples: Samples
    kind: str = "gauge"
    since: str = "1.0"


def exposition(state: State, call: Call) -> str:
    families = [*_server(state), *_collections(state), *_cluster(state)]
    lines = [line for family in families if state.has(family.since) for line in _lines(family)]
    by_collection = call.flag("per_collection") and state.has("1.17.1")
    lines += request_families(state, by_collection=by_collection)
    families = [*_hardware(state), *_process()]
    lines += [line for family in families if state.has(family.since) for line in _lines(family)]
    return "\n".join(_anonymous(line) if call.flag("anonymize") else line for line in [*lines, ""])


def _server(state: State) -> Iterator[Family]:
    yield Family("app_info", [({"name": "qdrant", "version": state.version}, 1)])
    yield Family("app_status_recovery_mode", _one(state.scene.recovery_mode))
    yield Family("collections_total", _one(len(state.collections)))


def _collections(state: State) -> Iterator[Family]:
    every = list(state.collections.values())
    loaded = [one for one in every if not state.scene.failed_to_load(one.name)]
    vectors = {one.name: _local_counts(state, one) for one in loaded}
    points = {one.name: _local_points(state, one) if one in loaded else 0 for one in every}
    yield Family("collections_vector_total", _one(sum(sum(counts.values()) for counts in vectors.values())))
    per_vector: Samples = [
        ({"collection": name, "vector": vector}, count)
        for name, counts in vectors.items()
        for vector, count in counts.items()
    ]
    yield Family("collection_vectors", per_vector, since="1.16")
    excluded: Samples = [
        ({"id": one.name, "vector": vector}, one.unindexed() if one.optimizing else 0)
        for one in loaded
        for vector in vectors[one.name]
        if vector not in one.sparse
    ]
    yield Family("collection_indexed_only_excluded_points", excluded, since="1.16")
    shards = [shard for one in every for shard in cluster.shards(state, one)]
    active = [sum(replica == "Active" for replica in shard.replicas.values()) for shard in shards]
    yield Family("collection_active_replicas_min", _one(min(active, default=0)), since="1.16")
    yield Family("collection_active_replicas_max", _one(max(active, default=0)), since="1.16")
    running = {one.name: one.optimizing for one in every}
    yield Family("collection_running_optimizations", _by_id(running), since="1.16")
    yield Family("collection_points", _by_id(points), since="1.16")
    dead = sum(any(replica != "Active" for replica in shard.replicas.values()) for shard in shards)
    yield Family("collection_dead_replicas", _one(dead), since="1.16")
    nothing = _by_id(dict.fromkeys(state.collections, 0))
    yield Family("snapshot_creation_running", nothing, since="1.16")
    yield Family("snapshot_recovery_running", nothing, since="1.16")
    made = {one.name: one.snapshots_made for one in every}
    yield Family("snapshot_created_total", _by_id(made), "counter", "1.16")
    yield Family("collection_shard_transfer_incoming", nothing, since="1.16.3")
    yield Family("collection_shard_transfer_outgoing", nothing, since="1.16.3")
    yield Family("collection_update_queue_length", nothing, since="1.17")
    yield Family("collection_update_queue_deferred_points", nothing, since="1.17.1")


def _cluster(state: State) -> Iterator[Family]:
    yield Family("cluster_enabled", _one(cluster.enabled(state)))
    if not cluster.enabled(state):
        return
    yield Family("cluster_peers_total", _one(state.scene.peers))
    yield Family("cluster_term", _one(cluster.TERM), "counter")
    yield Family("cluster_commit", [({"peer_id": str(state.peer)}, cluster.COMMIT)], "counter")
    yield Family("cluster_pending_operations_total", _one(state.scene.pending_operations))
    yield Family("cluster_voter", _one(1))
    yield Family("cluster_last_update_timestamp_seconds", _one(int(time.time())), "counter", "1.16.3")
    working: Samples = [({"state": "working"}, 1), ({"state": "stopped"}, 0)]
    yield Family("cluster_working_state", working, since="1.16.3")


def _hardware(state: State) -> Iterator[Family]:
    order = ("cpu", "payload_io_read", "payload_index_io_read", "payload_index_io_write", "payload_io_write")
    for part in (*order, *(part for part in HARDWARE if part.startswith("vector"))):
        numbers = {name: parts[part] for name, parts in state.hardware.items()}
        yield Family(f"collection_hardware_metric_{part}", _by_id(numbers), "counter", "1.14")


def _process() -> Iterator[Family]:
    for name, value in machine.memory().items():
        yield Family(f"memory_{name}", _one(value), since="1.13")
    for name, value in machine.process().items():
        yield Family(name, _one(value), "counter" if name.endswith("_total") else "gauge", "1.16")


def _local_points(state: State, collection: Collection) -> int:
    total = collection.shard.info().points_count
    return sum(shard.points(total) for shard in cluster.shards(state, collection) if shard.local)


def _local_counts(state: State, collection: Collection) -> dict[str, int]:
    local = [shard for shard in cluster.shards(state, collection) if shard.local]
    counts = collection.vector_counts().items()
    return {vector: sum(shard.points(count) for shard in local) for vector, count in counts}


def _one(value: float) -> Samples:
    return [({}, value)]


def _by_id(numbers: dict[str, int] | dict[str, bool]) -> Samples:
    return [({"id": name}, number) for name, number in numbers.items()]


def _lines(family: Family) -> Iterator[str]:
    if not family.samples:
        return
    yield f"# HELP {family.name} {HELP[family.name]}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        inside = ",".join(f'{name}="{text}"' for name, text in labels.items())
        yield f"{family.name}{{{inside}}} {int(value)}" if labels else f"{family.name} {int(value)}"


def _anonymous(line: str) -> str:
    """Return a line with the names users gave replaced by hashes."""
    for label in HASHED:
        before, found, after = line.partition(f'{label}="')
        if found and not line.startswith("#"):
            text, quote, rest = after.partition('"')
            digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
            line = f"{before}{found}{digest}{quote}{rest}"
    return line
