"""GET /collections/{c}/memory: what the files of each component take on disk and in the page cache."""

from pathlib import Path
from typing import Any

from testkit.qdrant_double.calls import Json
from testkit.qdrant_double.collection import Collection
from testkit.qdrant_double.edge import dense_vectors
from testkit.qdrant_double.machine import cached_bytes
from testkit.qdrant_double.segments import payload_schema, segments

Files = list[tuple[str, Path]]  # a path inside its segment, such as vector_index-body/links.bin, and the file


def memory(collection: Collection) -> Json:
    """Return the use by component. Only vectors that shall be in RAM and their graphs are expected in the cache."""
    with collection.live.files:
        files = _files(collection)
        vectors = [_dense(collection, files, name) for name in dense_vectors(collection.params)]
        sparse = [_vector(files, name, kept=False) for name in collection.sparse]
        payload = _usage(_under(files, "payload_storage/"))
        indexes = [
            {"name": name, "usage": _usage([one for one in _under(files, "payload_index/") if f"-{name}-" in one[0]])}
            for name in payload_schema(collection)
        ]
        id_tracker = _usage(_under(files, "id_tracker"))
    return _answer(vectors, sparse, payload, indexes, id_tracker)


def nothing() -> Json:
    """Return the use of a collection whose shard did not load."""
    return _answer([], [], _usage([]), [], _usage([]))


def _answer(vectors: list[Json], sparse: list[Json], payload: Json, indexes: list[Json], tracker: Json) -> Json:
    parts = [part for vector in (*vectors, *sparse) for part in vector.values() if isinstance(part, dict)]
    parts += [payload, tracker, *(index["usage"] for index in indexes)]
    return {
        "total": {key: sum(part[key] for part in parts) for key in payload},
        "vectors": vectors,
        "sparse_vectors": sparse,
        "payload": payload,
        "payload_index": indexes,
        "other": {"id_tracker": tracker},
    }


def _dense(collection: Collection, files: Files, name: str) -> Json:
    vector = _vector(files, name, kept=not dense_vectors(collection.params)[name].get("on_disk"))
    if collection.config["quantization_config"]:
        quantized = [one for one in _storage(files, name) if "quantized" in one[0]]
        vector["quantized"] = _usage(quantized)
    return vector


def _vector(files: Files, name: str, *, kept: bool) -> Json:
    storage = [one for one in _storage(files, name) if "quantized" not in one[0]]
    index = _under(files, f"vector_index{_suffix(name)}")
    return {"name": name, "storage": _usage(storage, kept=kept), "index": _usage(index, kept=kept)}


def _storage(files: Files, name: str) -> Files:
    return _under(files, f"vector_storage{_suffix(name)}")


def _suffix(name: str) -> str:
    return f"-{name}/" if name else "/"


def _under(files: Files, start: str) -> Files:
    return [one for one in files if one[0].startswith(start)]


def _files(collection: Collection) -> Files:
    folders = [segment.folder for segment in segments(collection)]
    every = [(folder, path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [(str(path.relative_to(folder)), path) for folder, path in every]


def _usage(files: Files, *, kept: bool = False) -> dict[str, Any]:
    disk = sum(path.stat().st_size for _, path in files)
    return {
        "disk_bytes": disk,
        "ram_bytes": 0,
        "cached_bytes": sum(cached_bytes(path) for _, path in files),
        "expected_cache_bytes": disk if kept else 0,
    }
