"""What a collection's files tell: the segments of /telemetry and the components of /memory."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.qdrant_double.calls import Json
from tests.servers.qdrant_double.collection import Collection
from tests.servers.qdrant_double.edge import dense_vectors

VERSION_BYTES = 8  # of each point, in the mapping of a segment that takes no more writes


@dataclass(frozen=True)
class Segment:
    """One live segment: its own configuration, which has the shape /telemetry shows, and its points."""

    name: str
    folder: Path
    config: Json
    points: int

    @property
    def appendable(self) -> bool:
        return not (self.folder / "id_tracker.versions").exists()

    @property
    def hnsw(self) -> set[str]:
        vectors = self.config["vector_data"]
        return {name for name, vector in vectors.items() if vector["index"]["type"] == "hnsw"}


def segments(collection: Collection) -> list[Segment]:
    """Return the live segments. A closed one tells its points; the open one has the rest."""
    live = [collection.folder / "shard" / "segments" / name for name in collection.live_segments()]
    closed = {folder: _closed_points(folder) for folder in live}
    rest = max(0, collection.shard.info().points_count - sum(points or 0 for points in closed.values()))
    found = []
    for folder, points in closed.items():
        config = json.loads((folder / "segment.json").read_text())["config"]
        found.append(Segment(folder.name, folder, config, rest if points is None else points))
        rest = 0 if points is None else rest
    return found


def telemetry(collection: Collection) -> list[Json]:
    with collection.files:
        return _telemetry(collection)


def memory(collection: Collection) -> Json:
    """Return /memory's result. Cached means allocated on disk here, where the server asks the kernel."""
    with collection.files:
        return _memory(collection)


def _telemetry(collection: Collection) -> list[Json]:
    counts, schema = collection.vector_counts(), payload_schema(collection)
    total = max(1, collection.shard.info().points_count)
    return [_segment(segment, collection, counts, schema, total) for segment in segments(collection)]


def payload_schema(collection: Collection) -> Json:
    return {
        field: {"data_type": str(info.data_type).rpartition(".")[2].lower(), "points": info.points}
        for field, info in collection.shard.info().payload_schema.items()
    }


def _memory(collection: Collection) -> Json:
    files = [(path.relative_to(folder), path) for folder in _folders(collection) for path in _files(folder)]
    dense, quantized = dense_vectors(collection.params), collection.config["quantization_config"]

    def usage(start: str, *, without: str = "//", within: str = "") -> Json:
        paths = [path for inner, path in files if str(inner).startswith(start)]
        return _usage([path for path in paths if without not in path.name and within in str(path)])

    def vector(name: str) -> Json:
        end = f"-{name}/" if name else "/"
        parts = {"storage": usage(f"vector_storage{end}", without="quantized"), "index": usage(f"vector_index{end}")}
        if quantized and name in dense:
            parts["quantized"] = usage(f"vector_storage{end}", within="quantized")
        return {"name": name} | parts

    indexes = [
        {"name": name, "usage": usage("payload_index/", within=f"-{name}-")} for name in payload_schema(collection)
    ]
    return {
        "total": _usage([path for _, path in files]),
        "vectors": [vector(name) for name in dense],
        "sparse_vectors": [vector(name) for name in collection.sparse],
        "payload": usage("payload_storage/"),
        "payload_index": indexes,
        "other": {"id_tracker": usage("id_tracker")},
    }


def no_memory() -> Json:
    nothing = _usage([])
    parts: Json = {"total": nothing, "vectors": [], "sparse_vectors": [], "payload": nothing, "payload_index": []}
    return parts | {"other": {"id_tracker": nothing}}


def _segment(segment: Segment, collection: Collection, counts: dict[str, int], schema: Json, total: int) -> Json:
    vectors = {name: segment.points * count // total for name, count in counts.items()}
    indexed = {
        name: count if name in segment.hnsw or name in collection.sparse else 0 for name, count in vectors.items()
    }
    dense = dense_vectors(collection.params)
    bytes_of = {name: count * (dense[name]["size"] * 4 if name in dense else 24) for name, count in vectors.items()}
    fields = {name: info | {"points": segment.points * info["points"] // total} for name, info in schema.items()}
    info = {
        "uuid": segment.name,
        "segment_type": "indexed" if segment.hnsw or collection.sparse else "plain",
        "num_vectors": sum(vectors.values()),
        "num_points": segment.points,
        "num_deferred_points": 0,
        "num_deleted_deferred_points": 0,
        "num_indexed_vectors": sum(indexed.values()),
        "num_deleted_vectors": 0,
        "vectors_size_bytes": sum(bytes_of.values()),
        "payloads_size_bytes": 0,
        "ram_usage_bytes": 0,
        "disk_usage_bytes": 0,
        "is_appendable": segment.appendable,
        "index_schema": fields,
        "vector_data": {
            name: {"num_vectors": count, "num_indexed_vectors": indexed[name], "num_deleted_vectors": 0}
            for name, count in vectors.items()
        },
    }
    return {
        "info": info,
        "config": segment.config,
        "vector_index_searches": [{"index_name": name} for name in counts],
        "payload_field_indices": [
            one for name in fields for one in _field_indexes(segment, name, fields[name]["points"])
        ],
    }


def _field_indexes(segment: Segment, name: str, points: int) -> list[Json]:
    kinds = ("mutable_map", "mutable_null_index") if segment.appendable else ("immutable_map", "immutable_null_index")
    return [
        {"field_name": name, "index_type": kind, "points_values_count": points, "points_count": points}
        for kind in kinds
    ]


def _closed_points(folder: Path) -> int | None:
    versions = folder / "id_tracker.versions"
    return versions.stat().st_size // VERSION_BYTES if versions.exists() else None


def _folders(collection: Collection) -> list[Path]:
    return [segment.folder for segment in segments(collection)]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _usage(paths: list[Path]) -> dict[str, Any]:
    stats = [path.stat() for path in paths]
    disk = sum(stat.st_size for stat in stats)
    cached = sum(min(stat.st_size, stat.st_blocks * 512) for stat in stats)
    return {"disk_bytes": disk, "ram_bytes": 0, "cached_bytes": cached, "expected_cache_bytes": disk}
