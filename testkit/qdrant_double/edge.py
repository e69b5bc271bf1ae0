"""Collection configuration in Qdrant's JSON, turned into the engine's."""

from __future__ import annotations  # the engine has its type aliases only in its stub

from typing import Any

import qdrant_edge as engine

from testkit.qdrant_double.calls import Json, wrong_input

DEFAULT_VECTOR = ""
HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": False}


def config(collection: Json) -> engine.EdgeConfig:
    """Return the engine's configuration for a collection's."""
    params, optimizer = collection["params"], collection["optimizer_config"]
    return engine.EdgeConfig(
        vectors=_vectors(params.get("vectors") or {}),
        sparse_vectors={
            name: engine.EdgeSparseVectorParams(modifier=_enum(engine.Modifier, vector.get("modifier")))
            for name, vector in (params.get("sparse_vectors") or {}).items()
        },
        on_disk_payload=params["on_disk_payload"],
        hnsw_config=_hnsw(collection["hnsw_config"]),
        quantization_config=_quantization(collection["quantization_config"]),
        optimizers=engine.EdgeOptimizersConfig(
            deleted_threshold=optimizer["deleted_threshold"],
            vacuum_min_vector_number=optimizer["vacuum_min_vector_number"],
            default_segment_number=optimizer["default_segment_number"] or None,
            max_segment_size=optimizer["max_segment_size"],
            indexing_threshold=optimizer["indexing_threshold"],
        ),
    )


def dense_vectors(params: Json) -> dict[str, Json]:
    """Return the dense vectors by name; the only one of an unnamed configuration is called ""."""
    vectors = params.get("vectors") or {}
    return {DEFAULT_VECTOR: vectors} if "size" in vectors else dict(vectors)


def sparse_vectors(params: Json) -> list[str]:
    return list(params.get("sparse_vectors") or {})


def _vectors(vectors: Json) -> engine.EdgeVectorParams | dict[str, engine.EdgeVectorParams]:
    if "size" in vectors:
        return _vector(vectors)
    return {name: _vector(vector) for name, vector in vectors.items()}


def _vector(vector: Json) -> engine.EdgeVectorParams:
    hnsw, multi = vector.get("hnsw_config"), vector.get("multivector_config")
    return engine.EdgeVectorParams(
        size=vector["size"],
        distance=getattr(engine.Distance, vector["distance"]),
        on_disk=vector.get("on_disk"),
        multivector_config=engine.MultiVectorConfig(engine.MultiVectorComparator.MaxSim) if multi else None,
        datatype=_enum(engine.VectorStorageDatatype, vector.get("datatype")),
        quantization_config=_quantization(vector.get("quantization_config")),
        hnsw_config=_hnsw(HNSW | hnsw) if hnsw else None,
    )


def _hnsw(hnsw: Json) -> engine.HnswIndexConfig:
    return engine.HnswIndexConfig(
        m=hnsw["m"],
        ef_construct=hnsw["ef_construct"],
        full_scan_threshold=hnsw["full_scan_threshold"],
        max_indexing_threads=hnsw["max_indexing_threads"],
        on_disk=hnsw["on_disk"],
        payload_m=hnsw.get("payload_m"),
    )


def _quantization(quantization: Json | None) -> engine.QuantizationConfigType | None:
    if not quantization:
        return None
    kind, options = next(iter(quantization.items()))
    always_ram = options.get("always_ram")
    if kind == "scalar":
        return engine.ScalarQuantizationConfig(engine.ScalarType.Int8, options.get("quantile"), always_ram)
    if kind == "binary":
        return engine.BinaryQuantizationConfig(always_ram)
    if kind == "product":
        ratio = getattr(engine.CompressionRatio, options["compression"].upper())
        return engine.ProductQuantizationConfig(ratio, always_ram)
    raise wrong_input(f"unknown quantization {kind}")


def _enum(kind: Any, value: str | None) -> Any:
    """Return an engine's enum member for its JSON spelling, such as `float16` for `Float16`."""
    return None if value is None else getattr(kind, value.capitalize())
