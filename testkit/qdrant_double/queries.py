"""Points, vectors and queries between Qdrant's JSON and the engine's types."""

from __future__ import annotations  # the engine has its type aliases only in its stub

from typing import Any, cast

import qdrant_edge as engine

from testkit.qdrant_double.calls import Json, Refused, need, wrong_input
from testkit.qdrant_double.edge import DEFAULT_VECTOR
from testkit.qdrant_double.filters import condition_filter, without

FUSIONS = {"rrf": engine.Fusion.Rrf, "dbsf": engine.Fusion.Dbsf}


def point(body: Json) -> engine.Point:
    return engine.Point(point_id(need(body, "id")), vectors(need(body, "vector")), body.get("payload"))


def points(body: Json) -> list[engine.Point]:
    """Return the points of an upsert, which come as a list or as columns."""
    if "batch" not in body:
        return [point(one) for one in need(body, "points")]
    columns = body["batch"]
    payloads = columns.get("payloads") or [None] * len(columns["ids"])
    every = columns["vectors"]
    if isinstance(every, dict):
        every = [dict(zip(every, row, strict=True)) for row in zip(*every.values(), strict=True)]
    rows = zip(columns["ids"], every, payloads, strict=True)
    return [point({"id": number, "vector": vector, "payload": payload}) for number, vector, payload in rows]


def point_id(value: Any) -> engine.PointId:
    if isinstance(value, int | str):
        return value
    raise Refused(400, f"Format error in JSON body: value {value} is not a valid point ID")


def vectors(body: Any) -> engine.Vector:
    if isinstance(body, dict):
        return {name: named_vector(vector) for name, vector in body.items()}
    return cast("engine.Vector", named_vector(body))


def named_vector(body: Any) -> engine.NamedVector:
    if isinstance(body, dict):
        return engine.SparseVector(body["indices"], body["values"])
    if not isinstance(body, list):
        raise wrong_input("the double takes vectors as numbers, not as text or images")
    return [[float(one) for one in row] if isinstance(row, list) else float(row) for row in body]  # type: ignore[return-value]  # one level or two


def vector_json(vector: Any) -> Any:
    if isinstance(vector, engine.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    if isinstance(vector, dict):
        return {name: vector_json(one) for name, one in vector.items()}
    return vector


def record_json(record: Any) -> Json:
    """Return a record or scored point as the server does: without the parts that were not asked for."""
    body: Json = {"id": record.id if isinstance(record.id, int) else str(record.id)}
    if isinstance(record, engine.ScoredPoint):
        body |= {"version": record.version, "score": record.score}
    if record.payload is not None:
        body["payload"] = record.payload
    if record.vector is not None:
        body["vector"] = vector_json(record.vector)
    return body


def payload_choice(value: Any, *, default: bool) -> engine.WithPayloadType:
    if isinstance(value, dict):
        include = value.get("include")
        selector = engine.PayloadSelector
        return selector.Include(include) if include else selector.Exclude(value.get("exclude", []))
    return default if value is None else cast("engine.WithPayloadType", value)


def request(shard: engine.EdgeShard, body: Json) -> engine.QueryRequest:
    """Return the engine's query; a point's id becomes its vector, and the point itself is left out."""
    using, filtered = body.get("using"), condition_filter(body.get("filter"))
    ask = _unwrapped(body.get("query"))
    if isinstance(ask, int | str):
        filtered = without([ask], filtered)
        ask = _vector_of(shard, ask, using)
    return engine.QueryRequest(
        limit=body.get("limit") or 10,
        offset=body.get("offset"),
        query=None if ask is None else _scoring(ask, using),
        prefetches=_prefetches(shard, body.get("prefetch")),
        with_vector=body.get("with_vector") or False,
        with_payload=payload_choice(body.get("with_payload"), default=False),
        filter=filtered,
        score_threshold=body.get("score_threshold"),
        params=search_params(body.get("params")),
    )


def search_params(body: Json | None) -> engine.SearchParams | None:
    if not body:
        return None
    chosen = body.get("quantization")
    quantization = engine.QuantizationSearchParams(
        ignore=bool(chosen.get("ignore")), rescore=chosen.get("rescore"), oversampling=chosen.get("oversampling")
    ) if chosen else None  # fmt: skip
    return engine.SearchParams(
        hnsw_ef=body.get("hnsw_ef"),
        exact=bool(body.get("exact")),
        quantization=quantization,
        indexed_only=bool(body.get("indexed_only")),
    )


def _unwrapped(ask: Any) -> Any:
    return ask["nearest"] if isinstance(ask, dict) and "nearest" in ask else ask


def _vector_of(shard: engine.EdgeShard, number: engine.PointId, using: str | None) -> Any:
    found = shard.retrieve([number], False, True)  # noqa: FBT003 - the engine takes them by position only
    if not found:
        raise Refused(404, f"Not found: No point with id {number} found")
    vector = found[0].vector
    if not isinstance(vector, dict):
        return vector
    if (using or DEFAULT_VECTOR) not in vector:
        raise wrong_input(f"Not existing vector name error: {using or DEFAULT_VECTOR}")
    return vector_json(vector[using or DEFAULT_VECTOR])


def _scoring(ask: Any, using: str | None) -> engine.ScoringQueryType:
    if isinstance(ask, dict) and "sample" in ask:
        return engine.Sample.Random
    if isinstance(ask, dict) and "fusion" in ask:
        return cast("engine.ScoringQueryType", FUSIONS[ask["fusion"]])
    if isinstance(ask, dict) and "order_by" in ask:
        order = ask["order_by"]
        key = order if isinstance(order, str) else order["key"]
        descending = isinstance(order, dict) and order.get("direction") == "desc"
        return engine.OrderBy(key, engine.Direction.Desc if descending else engine.Direction.Asc)
    if isinstance(ask, dict) and "indices" not in ask:
        raise wrong_input(f"the double knows no query {sorted(ask)}")
    return engine.Query.Nearest(named_vector(ask), using)


def _prefetches(shard: engine.EdgeShard, body: Any) -> list[engine.Prefetch] | None:
    if not body:
        return None
    return [_prefetch(shard, one) for one in (body if isinstance(body, list) else [body])]


def _prefetch(shard: engine.EdgeShard, body: Json) -> engine.Prefetch:
    inner = request(shard, body)
    return engine.Prefetch(
        limit=inner.limit,
        query=inner.query,
        prefetches=_prefetches(shard, body.get("prefetch")),
        params=inner.params,
        filter=inner.filter,
        score_threshold=inner.score_threshold,
    )
