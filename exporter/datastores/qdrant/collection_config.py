"""Rows from a collection's configuration: one a vector, with what decides on its speed and size."""

from collections.abc import Iterable, Iterator

from exporter.datastores.json_text import Json, at
from exporter.datastores.qdrant.collections import Collection
from exporter.queries.query import Row


def config_rows(found: Iterable[Collection]) -> list[Row]:
    return [row for collection in found for row in _vectors(collection)]


def _vectors(collection: Collection) -> Iterator[Row]:
    config = at(collection.page, "config")
    dense = at(config, "params", "vectors") or {}
    if "size" in dense:  # one vector without a name
        dense = {"": dense}
    for name, vector in dense.items():
        yield {"collection": collection.name, "vector": name, **_dense(config, vector)}
    for name in at(config, "params", "sparse_vectors") or {}:
        yield {"collection": collection.name, "vector": name, **dict.fromkeys(_COLUMNS), "distance": "sparse"}


_COLUMNS = ("distance", "size", "datatype", "on_disk", "hnsw_m", "hnsw_ef_construct", "quantization")


def _dense(config: Json, vector: Json) -> dict[str, object]:
    quantization = at(vector, "quantization_config") or at(config, "quantization_config") or {}
    hnsw = {**(at(config, "hnsw_config") or {}), **_given(at(vector, "hnsw_config"))}
    values = (
        at(vector, "distance"),
        at(vector, "size"),
        at(vector, "datatype") or "float32",
        at(vector, "on_disk") is True,
        hnsw.get("m"),
        hnsw.get("ef_construct"),
        next(iter(quantization), "none"),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _given(page: object) -> dict[str, object]:
    return {key: value for key, value in page.items() if value is not None} if isinstance(page, dict) else {}
