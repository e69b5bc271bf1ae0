"""Rows that cost the server more: from segments, and from one request a collection."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from exporter.datastores.json_text import Json, at, number, objects, scaled, total
from exporter.datastores.qdrant.collections import Collection
from exporter.datastores.qdrant.session import collection_path
from exporter.errors import QueryError
from exporter.queries.query import Row

_MEMORY = ("disk_bytes", "ram_bytes", "cached_bytes", "expected_cache_bytes")

Read = Callable[[str], Awaitable[object]]


def segment_rows(found: Iterable[Collection]) -> list[Row]:
    return [
        {
            "collection": collection.name,
            "segments": float(len(segments)),
            "deleted_vectors": total([number(s, "info", "num_deleted_vectors") for s in segments]),
        }
        for collection in found
        if (segments := _segments(collection))
    ]


def index_rows(found: Iterable[Collection]) -> list[Row]:
    """Return the vectors in an index by name; vectors of plain segments are never indexed."""
    counts: dict[tuple[str, str], float] = {}
    for collection in found:
        for segment in _segments(collection):
            for name, vectors in (at(segment, "info", "vector_data") or {}).items():
                key = (collection.name, name)
                counts[key] = counts.get(key, 0.0) + (number(vectors, "num_indexed_vectors") or 0.0)
    return [{"collection": key[0], "vector": key[1], "indexed": count} for key, count in counts.items()]


def _segments(collection: Collection) -> list[Json]:
    return [segment for shard in collection.local for segment in objects(shard.local, "segments")]


async def memory_rows(read: Read, collections: Iterable[str]) -> list[Row]:
    """Return the memory and disk of each collection's components."""
    pages = await each(read, {name: collection_path(name, "memory") for name in collections})
    return [
        {"collection": name, "component": component, **{kind: _sum(usages, kind) for kind in _MEMORY}}
        for name, page in pages.items()
        for component, usages in _components(page).items()
        if usages
    ]


async def disk_rows(read: Read, collections: Iterable[str], size: float) -> list[Row]:
    """Return what the files of all collections take of a disk of that size; a page that fails is an error."""
    pages = [await read(collection_path(name, "memory")) for name in collections]
    used = total([number(page, "total", "disk_bytes") for page in pages]) if pages else 0.0
    return [{"used": used, "size": size, "used_ratio": scaled(used, 1 / size)}]


def _components(page: object) -> Mapping[str, list[object]]:
    vectors, sparse = objects(page, "vectors"), objects(page, "sparse_vectors")
    every = [*vectors, *sparse]
    return {
        "vectors": [at(vector, "storage") for vector in every],
        "index": [at(vector, "index") for vector in every],
        "quantized": [at(vector, "quantized") for vector in vectors if "quantized" in vector],
        "payload": [at(page, "payload")],
        "payload_index": [at(index, "usage") for index in objects(page, "payload_index")],
        "id_tracker": [at(page, "other", "id_tracker")],
    }


def _sum(usages: list[object], kind: str) -> float | None:
    return total([number(usage, kind) for usage in usages])


async def each(read: Read, paths: Mapping[str, str]) -> dict[str, object]:
    """Read one page each; a page that fails, such as that of a collection just deleted, is left out."""
    pages: dict[str, object] = {}
    failed: QueryError | None = None
    for key, path in paths.items():
        try:
            pages[key] = await read(path)
        except QueryError as error:
            failed = error
    if failed and not pages:
        raise failed
    return pages
