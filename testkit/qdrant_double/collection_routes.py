"""The routes that make, drop and describe collections."""

import time
from typing import Any

from testkit.qdrant_double import cluster, memory, segments
from testkit.qdrant_double.calls import Call, Json, Refused, internal
from testkit.qdrant_double.collection import Collection
from testkit.qdrant_double.durations import nanosecond_stamp
from testkit.qdrant_double.optimizer import Run
from testkit.qdrant_double.state import State


def every(state: State, _: Call) -> Json:
    return {"collections": [{"name": name} for name in state.collections]}


def create(state: State, call: Call) -> bool:
    state.create(call.collection, call.body)
    return True


def configure(state: State, call: Call) -> bool:
    state.collection(call.collection).configure(call.body)
    return True


def delete(state: State, call: Call) -> bool:
    return state.delete(call.collection)


def exists(state: State, call: Call) -> Json:
    return {"exists": call.collection in state.collections}


def aliases(_state: State, _: Call) -> Json:
    return {"aliases": []}


def shard_keys(state: State, call: Call) -> Json:
    state.collection(call.collection)
    return {}


def describe(state: State, call: Call) -> Json:
    """Return what `GET /collections/{c}` does; it asks the shards, so it fails when they do."""
    collection = state.collection(call.collection)
    if state.scene.failed_to_load(collection.name):
        raise internal("0 of 0 read operations failed")
    cluster.read(state, collection)
    info = collection.shard.info()
    described: Json = {
        "status": status(state, collection),
        "optimizer_status": optimizer_status(state, collection),
        "indexed_vectors_count": info.indexed_vectors_count,
        "points_count": info.points_count,
        "segments_count": info.segments_count * collection.params["shard_number"],
        "config": collection.config,
        "payload_schema": segments.payload_schema(collection),
    }
    return described | ({"update_queue": {"length": 0}} if state.has("1.17") else {})


def status(state: State, collection: Collection) -> str:
    if collection.name in state.scene.status:
        return state.scene.status[collection.name]
    if collection.name in state.scene.optimizer_error:
        return "red"
    if collection.optimizing:
        return "yellow"
    return "grey" if collection.waiting else "green"


def optimizer_status(state: State, collection: Collection) -> Any:
    error = state.scene.optimizer_error.get(collection.name)
    return "ok" if error is None else {"error": error}


def shards(state: State, call: Call) -> Json:
    """Return `GET /collections/{c}/cluster`, which says Active even of a shard that did not load."""
    collection = state.collection(call.collection)
    points = 0 if state.scene.failed_to_load(collection.name) else collection.shard.info().points_count
    placed = cluster.shards(state, collection)
    local = [
        {"shard_id": shard.number, "points_count": shard.points(points), "state": shard.replicas[0]}
        for shard in placed
        if shard.local
    ]
    remote = [
        {"shard_id": shard.number, "peer_id": cluster.peer_id(state, peer), "state": replica}
        for shard in placed
        for peer, replica in shard.remote.items()
    ]
    return {
        "peer_id": state.peer,
        "shard_count": len(placed),
        "local_shards": local,
        "remote_shards": remote,
        "shard_transfers": [],
    }


def memory_use(state: State, call: Call) -> Json:
    _since(state, "1.18")
    collection = state.collection(call.collection)
    cluster.ask_every_replica(state, collection, also_dead=True)
    return memory.nothing() if state.scene.failed_to_load(collection.name) else memory.memory(collection)


def optimizations(state: State, call: Call) -> Json:
    _since(state, "1.17")
    collection = state.collection(call.collection)
    cluster.ask_every_replica(state, collection, also_dead=False)
    failed, asked = state.scene.failed_to_load(collection.name), call.query.get("with", "").split(",")
    running = collection.optimizer.running if collection.optimizing else None
    idle = 0 if failed or running else collection.shard.info().segments_count
    answer: Json = {
        "summary": {
            "queued_optimizations": 0,
            "queued_segments": 0,
            "queued_points": collection.unindexed() if collection.optimizing and not running else 0,
            "idle_segments": idle,
        },
        "running": [_optimization(running, "optimizing")] if running else [],
    }
    if "queued" in asked:
        answer["queued"] = []
    if "completed" in asked:
        answer["completed"] = [] if failed else [_optimization(run, "done") for run in collection.optimizer.runs]
    return answer


def _optimization(run: Run, state: str) -> Json:
    step = {"done": run.points if state == "done" else 0, "total": run.points}
    graph = _step("", run, state, children=[_step("main_graph", run, state) | step])
    return {
        "uuid": run.number,
        "optimizer": "indexing",
        "status": state,
        "segments": [{"uuid": name, "points_count": run.points} for name in run.segments],
        "progress": _step(
            "Segment Optimizing", run, state, children=[_step("vector_index", run, state, children=[graph])]
        ),
    }


def _step(name: str, run: Run, state: str, children: list[Json] | None = None) -> Json:
    """Return one node of the progress; the engine tells only the whole, so every node has its times."""
    node: Json = {"name": name, "started_at": nanosecond_stamp(run.begin)}
    if state == "done":
        node |= {"finished_at": nanosecond_stamp(run.end), "duration_sec": run.end - run.begin}
    else:
        node |= {"duration_sec": time.time() - run.begin}
    return node | ({"children": children} if children else {})


def _since(state: State, version: str) -> None:
    if not state.has(version):
        raise Refused(404, "")
