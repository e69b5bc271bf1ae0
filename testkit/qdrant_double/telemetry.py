"""GET /telemetry, by level of detail (qdrant's src/common/telemetry_ops)."""

import uuid
from typing import Any

from testkit.qdrant_double import cluster, collection_routes, machine, segments
from testkit.qdrant_double.calls import Call, Json
from testkit.qdrant_double.collection import Collection
from testkit.qdrant_double.durations import Durations, millisecond_stamp, nanosecond_stamp
from testkit.qdrant_double.state import State

FEATURES = ("debug", "service_debug_feature", "recovery_mode", "gpu", "rocksdb", "staging")
RUNTIME = {
    "all": False, "incremental_hnsw_building": True, "appendable_quantization": True,
    "single_file_mmap_vector_storage": False,
}  # fmt: skip
CONFIG = {
    "grpc_timeout_ms": 60000,
    "p2p": {"connection_pool_size": 2},
    "consensus": {"max_message_queue_size": 100, "tick_period_ms": 100, "bootstrap_timeout_sec": 15},
}
AGGREGATED, CONFIGURED, SHARDED, SEGMENTED = 1, 2, 3, 4  # what a level adds about collections


def telemetry(state: State, call: Call) -> Json:
    level = int(call.query.get("details_level", "0"))
    answer: Json = {
        "id": state.instance,
        "app": _app(state, level),
        "collections": _collections(state, level),
        "cluster": _cluster(state, level),
        "requests": state.requests.telemetry(full=level >= AGGREGATED),
    }
    if level >= AGGREGATED:
        answer |= {"memory": machine.memory(), "hardware": _hardware(state)}
        if state.has("1.18"):
            answer["search_pool"] = {"mode": "high_io", "high_cpu_threads": 2, "high_io_threads": 8}
    return answer


def _app(state: State, level: int) -> Json:
    app: Json = {"name": "qdrant", "version": state.version}
    if level >= AGGREGATED:
        features = dict.fromkeys(FEATURES, False) | {"recovery_mode": state.scene.recovery_mode}
        app |= {"features": features, "runtime_features": RUNTIME, "low_memory_mode": "disabled"}
        app |= {"hnsw_global_config": {"healing_threshold": 0.3}, "system": machine.system(state.started)}
    return app | {"startup": millisecond_stamp(state.started)}


def _hardware(state: State) -> Json:
    return {"collection_data": {name: dict(numbers) for name, numbers in state.hardware.items()}}


def _collections(state: State, level: int) -> Json:
    every = list(state.collections.values())
    answer: Json = {"number_of_collections": len(every)}
    if level < AGGREGATED:
        return answer
    if level == AGGREGATED:
        return answer | {"collections": [_aggregated(state, one) for one in every], "snapshots": []}
    described = [_collection(state, one, level) for one in every]
    return answer | {"collections": described, "snapshots": [_snapshots(one) for one in every]}


def _aggregated(state: State, collection: Collection) -> Json:
    failed = state.scene.failed_to_load(collection.name)
    return {
        "vectors": 0 if failed else sum(collection.vector_counts().values()),
        "optimizers_status": collection_routes.optimizer_status(state, collection),
        "params": collection.params,
    }


def _snapshots(collection: Collection) -> Json:
    return {
        "id": collection.name,
        "running_snapshots": 0,
        "running_snapshot_recovery": 0,
        "total_snapshot_creations": collection.snapshots_made,
    }


def _collection(state: State, collection: Collection, level: int) -> Json:
    answer: Json = {
        "id": collection.name,
        "init_time_ms": collection.init_milliseconds,
        "config": collection.config | {"uuid": _uuid(state, collection)},
    }
    if level >= SHARDED:
        shards = [_shard(state, collection, shard, level) for shard in cluster.shards(state, collection)]
        answer |= {"shards": shards, "transfers": [], "resharding": []}
    return answer


def _uuid(state: State, collection: Collection) -> str | None:
    """Return the collection's identity, which the server keeps in a cluster only."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, collection.name)) if cluster.enabled(state) else None


def _shard(state: State, collection: Collection, shard: cluster.Shard, level: int) -> Json:
    return {
        "id": shard.number,
        "key": None,
        "local": _local(state, collection, shard, level) if shard.local else None,
        "remote": [_remote(collection, shard, cluster.peer_id(state, peer)) for peer in shard.remote],
        "replicate_states": {str(cluster.peer_id(state, peer)): replica for peer, replica in shard.replicas.items()},
        "partial_snapshot": {
            "ongoing_create_snapshot_requests": 0,
            "is_recovering": False,
            "recovery_timestamp": 0,
        },
    }


def _remote(collection: Collection, shard: cluster.Shard, peer: int) -> Json:
    """Return a remote replica, asked when there is no local one; the server counts each operation as failed too."""
    searches = Durations() if shard.local else collection.searches
    return {
        "shard_id": shard.number,
        "peer_id": peer,
        "searches": searches.telemetry() | _also_failed(searches.count),
        "updates": Durations().telemetry() | _also_failed(collection.operations),
    }


def _also_failed(count: int) -> Json:
    return {"fail_count": count} if count else {}


def _local(state: State, collection: Collection, shard: cluster.Shard, level: int) -> Json:
    """Return a local shard; one that did not load is a dummy that calls itself green."""
    if state.scene.failed_to_load(collection.name):
        return {
            "variant_name": "dummy shard", "status": "green", "total_optimized_points": 0, "optimizations": None,
        }  # fmt: skip
    counts = collection.vector_counts()
    optimizer = collection.optimizer
    optimizations: Json = {
        "status": collection_routes.optimizer_status(state, collection),
        "optimizations": optimizer.durations.telemetry(),
    }
    local: Json = {
        "variant_name": "local shard",
        "status": collection_routes.status(state, collection),
        "total_optimized_points": optimizer.points,
        "vectors_size_bytes": round(collection.vectors_bytes * shard.share),
        "payloads_size_bytes": 0,
        "num_points": shard.points(collection.shard.info().points_count),
        "num_vectors": shard.points(sum(counts.values())),
    }
    if state.has("1.16"):
        local["num_vectors_by_name"] = {name: shard.points(count) for name, count in counts.items()}
    if level >= SEGMENTED:
        local["segments"] = segments.telemetry(collection)
        optimizations["log"] = _log(collection)
        excluded = collection_routes.status(state, collection) != "green" and collection.unindexed()
        dense = [name for name in counts if name not in collection.sparse]
        local["indexed_only_excluded_vectors"] = {name: int(excluded) for name in dense}
    local |= {"optimizations": optimizations, "async_scorer": False}
    return local | ({"update_queue": {"length": 0, "op_num": collection.operations}} if state.has("1.17") else {})


def _log(collection: Collection) -> list[Json]:
    return [
        {
            "name": "indexing",
            "uuid": run.number,
            "segment_ids": list(range(len(run.segments))),
            "segment_uuids": list(run.segments),
            "status": "done",
            "start_at": nanosecond_stamp(run.begin),
            "end_at": nanosecond_stamp(run.end),
        }
        for run in collection.optimizer.runs
    ]


def _cluster(state: State, level: int) -> Json:
    answer: Json = {"enabled": cluster.enabled(state)}
    if cluster.enabled(state) and level >= AGGREGATED:
        known: Any = cluster.status(state)
        raft = {key: known["raft_info"][key] for key in ("term", "commit", "pending_operations", "role", "is_voter")}
        answer["status"] = {"number_of_peers": state.scene.peers} | raft | {"peer_id": state.peer}
        answer["status"] |= {"consensus_thread_status": known["consensus_thread_status"]}
    if level >= CONFIGURED:
        answer["config"] = CONFIG
        if cluster.enabled(state):
            answer["peers"] = cluster.peers(state)
    if level >= SHARDED and cluster.enabled(state):
        answer["peer_metadata"] = {peer: {"version": state.version} for peer in cluster.peers(state)}
    return answer | {"resharding_enabled": False}
