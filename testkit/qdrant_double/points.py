"""The routes that read and write points: the engine answers."""

from __future__ import annotations  # the engine has its type aliases only in its stub

import time
from collections.abc import Callable
from typing import Any, TypeVar

import qdrant_edge as engine

from testkit.qdrant_double import cluster, queries
from testkit.qdrant_double.calls import Call, Json, Refused, need, wrong_input
from testkit.qdrant_double.collection import Collection
from testkit.qdrant_double.edge import dense_vectors
from testkit.qdrant_double.filters import condition_filter
from testkit.qdrant_double.state import State

Answer = TypeVar("Answer")


def upsert(state: State, call: Call) -> Json:
    points = queries.points(call.body)
    written = sum(vector["size"] * 4 for vector in dense_vectors(state.readable(call.collection).params).values())
    answer = _write(state, call, lambda: engine.UpdateOperation.upsert_points(points))
    state.hardware[call.collection]["vector_io_write"] += written * len(points)
    return answer


def delete(state: State, call: Call) -> Json:
    operations = engine.UpdateOperation
    return _write(
        state, call, lambda: _by_choice(call.body, operations.delete_points, operations.delete_points_by_filter)
    )


def set_payload(state: State, call: Call) -> Json:
    operations = engine.UpdateOperation
    return _write_payload(state, call, operations.set_payload, operations.set_payload_by_filter)


def overwrite_payload(state: State, call: Call) -> Json:
    operations = engine.UpdateOperation
    return _write_payload(state, call, operations.overwrite_payload, operations.overwrite_payload_by_filter)


def clear_payload(state: State, call: Call) -> Json:
    operations = engine.UpdateOperation
    return _write(
        state, call, lambda: _by_choice(call.body, operations.clear_payload, operations.clear_payload_by_filter)
    )


def create_index(state: State, call: Call) -> Json:
    schema = call.need("field_schema")
    kind = str(schema["type"] if isinstance(schema, dict) else schema).capitalize()
    if not hasattr(engine.PayloadSchemaType, kind):
        raise Refused(400, f"Format error in JSON body: unknown variant `{kind.lower()}`")
    kind_of = getattr(engine.PayloadSchemaType, kind)
    return _write(state, call, lambda: engine.UpdateOperation.create_field_index(call.need("field_name"), kind_of))


def delete_index(state: State, call: Call) -> Json:
    return _write(state, call, lambda: engine.UpdateOperation.delete_field_index(call.path["field_name"]))


def query(state: State, call: Call) -> Json:
    collection = _read(state, call)
    state.hardware[call.collection]["cpu"] += _cost(collection, call.body)
    return _query(collection, call.body)


def query_batch(state: State, call: Call) -> list[Json]:
    collection = _read(state, call)
    state.hardware[call.collection]["cpu"] += sum(_cost(collection, body) for body in call.need("searches"))
    return [_query(collection, body) for body in call.need("searches")]


def scroll(state: State, call: Call) -> Json:
    body = call.body
    request = engine.ScrollRequest(
        offset=body.get("offset"),
        limit=body.get("limit") or 10,
        filter=condition_filter(body.get("filter")),
        with_payload=queries.payload_choice(body.get("with_payload"), default=True),
        with_vector=body.get("with_vector") or False,
    )
    shard = _read(state, call).shard
    records, following = _engine(lambda: shard.scroll(request))
    after = following if following is None or isinstance(following, int) else str(following)
    return {"points": [queries.record_json(record) for record in records], "next_page_offset": after}


def count(state: State, call: Call) -> Json:
    request = engine.CountRequest(exact=call.body.get("exact", True), filter=condition_filter(call.body.get("filter")))
    shard = _read(state, call).shard
    return {"count": _engine(lambda: shard.count(request))}


def facet(state: State, call: Call) -> Json:
    body = call.body
    request = engine.FacetRequest(
        call.need("key"), body.get("limit") or 10, bool(body.get("exact")), condition_filter(body.get("filter"))
    )
    shard = _read(state, call).shard
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in _engine(lambda: shard.facet(request)).hits]}


def retrieve(state: State, call: Call) -> list[Json]:
    payload = queries.payload_choice(call.body.get("with_payload"), default=True)
    ids, vector = [queries.point_id(one) for one in call.need("ids")], call.body.get("with_vector") or False
    shard = _read(state, call).shard
    return [queries.record_json(record) for record in _engine(lambda: shard.retrieve(ids, payload, vector))]


def one_point(state: State, call: Call) -> Json:
    text = call.path["id"]
    number: engine.PointId = int(text) if text.isdigit() else text
    shard = _read(state, call).shard
    found = _engine(lambda: shard.retrieve([number], True, False))  # noqa: FBT003 - the engine takes them by position
    if not found:
        raise Refused(404, f"Not found: Point with id {text} does not exists!")
    return queries.record_json(found[0])


def _read(state: State, call: Call) -> Collection:
    collection = state.readable(call.collection)
    cluster.read(state, collection)
    return collection


def _cost(collection: Collection, body: Json) -> int:
    """Return a guess of the bytes that a query compares: all vectors when exact, else a hundred."""
    exact = (body.get("params") or {}).get("exact")
    bytes_each = sum(vector["size"] * 4 for vector in dense_vectors(collection.params).values())
    return int(bytes_each * (collection.shard.info().points_count if exact else 100))


def _query(collection: Collection, body: Json) -> Json:
    begin = time.perf_counter()
    request = _engine(lambda: queries.request(collection.shard, body))
    found = _engine(lambda: collection.shard.query(request))
    collection.searches.add(time.perf_counter() - begin)
    return {"points": [queries.record_json(point) for point in found]}


def _write(state: State, call: Call, operation: Callable[[], engine.UpdateOperation]) -> Json:
    collection = state.readable(call.collection)
    cluster.write(state)
    number = collection.update(_engine(operation))
    return {"operation_id": number, "status": "completed" if call.flag("wait") else "acknowledged"}


def _write_payload(state: State, call: Call, by_ids: Callable[..., Any], by_filter: Callable[..., Any]) -> Json:
    payload, key = call.need("payload"), call.body.get("key")
    return _write(
        state,
        call,
        lambda: _by_choice(call.body, lambda ids: by_ids(ids, payload, key), lambda one: by_filter(one, payload, key)),
    )


def _by_choice(body: Json, by_ids: Callable[..., Any], by_filter: Callable[..., Any]) -> engine.UpdateOperation:
    operation: engine.UpdateOperation
    if body.get("filter"):
        operation = by_filter(condition_filter(body["filter"]))
    else:
        operation = by_ids([queries.point_id(one) for one in need(body, "points")])
    return operation


def _engine(ask: Callable[[], Answer]) -> Answer:
    """Ask the engine; what it refuses is the caller's mistake."""
    try:
        return ask()
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - the engine raises bare Exception
        raise wrong_input(error) from None
