"""The live segments of a collection, from the engine's files, and what /telemetry tells of them."""

import json
from dataclasses import dataclass
from pathlib import Path

from testkit.qdrant_double.calls import Json
from testkit.qdrant_double.collection import SPARSE_BYTES, Collection
from testkit.qdrant_double.edge import dense_vectors

VERSION_BYTES = 8  # of each point, in a segment that takes no new ones


@dataclass(frozen=True)
class Segment:
    """One live segment: its configuration, which has the shape /telemetry shows, and its points."""

    folder: Path
    config: Json
    points: int
    deleted: int
    appendable: bool

    @property
    def hnsw(self) -> set[str]:
        vectors = self.config.get("vector_data", {})
        return {name for name, vector in vectors.items() if vector["index"]["type"] == "hnsw"}


def segments(collection: Collection) -> list[Segment]:
    """Return the live segments. A closed one tells its points; the open one has the rest."""
    root, total = collection.live.folder / "segments", collection.shard.info().points_count
    closed = {root / name: _closed_points(root / name) for name in collection.live.segments()}
    rest = total - sum(points or 0 for points in closed.values())
    found = []
    for folder, points in closed.items():
        config = json.loads((folder / "segment.json").read_text())["config"]
        if points is None:
            found.append(Segment(folder, config, max(0, rest), 0, appendable=True))
            rest = min(0, rest)
        else:
            deleted = min(points, max(0, -rest))
            found.append(Segment(folder, config, points - deleted, deleted, appendable=False))
            rest += deleted
    return found


def telemetry(collection: Collection) -> list[Json]:
    counts, schema = collection.vector_counts(), payload_schema(collection)
    total = max(1, collection.shard.info().points_count)
    with collection.live.files:
        return [_telemetry(one, collection, counts, schema, total) for one in segments(collection)]


def payload_schema(collection: Collection) -> Json:
    return {
        field: {"data_type": str(info.data_type).rpartition(".")[2].lower(), "points": info.points}
        for field, info in collection.shard.info().payload_schema.items()
    }


def _telemetry(segment: Segment, collection: Collection, counts: dict[str, int], schema: Json, total: int) -> Json:
    vectors = {name: segment.points * count // total for name, count in counts.items()}
    fields = {name: info | {"points": segment.points * info["points"] // total} for name, info in schema.items()}
    return {
        "info": _info(segment, collection, vectors, fields),
        "config": segment.config,
        "vector_index_searches": [{"index_name": name} for name in counts],
        "payload_field_indices": [
            index for name, info in fields.items() for index in _indexes(segment, name, info["points"])
        ],
    }


def _info(segment: Segment, collection: Collection, vectors: dict[str, int], fields: Json) -> Json:
    dense, with_index = dense_vectors(collection.params), {*segment.hnsw, *collection.sparse}
    sizes = {name: dense[name]["size"] * 4 if name in dense else SPARSE_BYTES for name in vectors}
    data = {
        name: {
            "num_vectors": count,
            "num_indexed_vectors": count if name in with_index else 0,
            "num_deleted_vectors": segment.deleted,
        }
        for name, count in vectors.items()
    }
    return {
        "uuid": segment.folder.name,
        "segment_type": "indexed" if with_index else "plain",
        "num_vectors": sum(vectors.values()),
        "num_points": segment.points,
        "num_deferred_points": 0,
        "num_deleted_deferred_points": 0,
        "num_indexed_vectors": sum(one["num_indexed_vectors"] for one in data.values()),
        "num_deleted_vectors": segment.deleted * len(data),
        "vectors_size_bytes": sum(sizes[name] * count for name, count in vectors.items()),
        "payloads_size_bytes": 0,
        "ram_usage_bytes": 0,
        "disk_usage_bytes": 0,
        "is_appendable": segment.appendable,
        "index_schema": fields,
        "vector_data": data,
    }


def _indexes(segment: Segment, name: str, points: int) -> list[Json]:
    kinds = ("mutable_map", "mutable_null_index") if segment.appendable else ("immutable_map", "immutable_null_index")
    numbers = {"points_values_count": points, "points_count": points}
    return [{"field_name": name, "index_type": kind} | numbers for kind in kinds]


def _closed_points(folder: Path) -> int | None:
    versions = folder / "id_tracker.versions"
    return versions.stat().st_size // VERSION_BYTES if versions.exists() else None
