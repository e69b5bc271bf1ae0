"""The operations of query files for Qdrant: pages become rows here, nothing but pages is read."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from pydantic import Field

from exporter.datastores.json_path import Json
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.qdrant import collections, expensive_rows, native_metrics, server_rows
from exporter.datastores.qdrant.canary import CountParams, SearchParams, count, search
from exporter.datastores.qdrant.collection_config import config_rows
from exporter.datastores.qdrant.collections import Collection, collections_of
from exporter.datastores.qdrant.session import Pages
from exporter.errors import QueryError
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_READY = {200: 1.0, 503: 0.0}


class CollectionsParams(Params):
    """Bound what is shown by collection: those in trouble first, then those with the most points."""

    max_collections: int = Field(default=200, ge=1)


class NativeParams(Params):
    """Pick metrics of the server's own /metrics page: column to metric, and our label to its label.

    Of more than `max_rows` rows those with the highest first column are kept.
    """

    columns: dict[str, str] = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict)
    max_rows: int = Field(default=500, ge=1)


def _from_telemetry(rows: Callable[[Json], Sequence[Row]]) -> Operation:
    async def operation(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
        return await session.rows(rows, await session.telemetry())

    return Operation(operation)


def _by_collection(rows: Callable[[Sequence[Collection]], Sequence[Row]], *, segments: bool = False) -> Operation:
    async def operation(session: Pages, params: CollectionsParams, _state: object) -> Sequence[Row]:
        telemetry = await session.telemetry(segments=segments)
        return await session.rows(lambda: rows(collections_of(telemetry, params.max_collections)))

    return Operation(operation, CollectionsParams)


def _each_collection(
    rows: Callable[[expensive_rows.Read, Sequence[str]], Awaitable[Sequence[Row]]],
) -> Operation:
    async def operation(session: Pages, params: CollectionsParams, _state: object) -> Sequence[Row]:
        found = await session.rows(collections_of, await session.telemetry(), params.max_collections)
        return await rows(session.json, [collection.name for collection in found])

    return Operation(operation, CollectionsParams)


def _from_metrics(rows: Callable[[NativePage, str], Sequence[Row]]) -> Operation:
    async def operation(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
        return await session.rows(rows, await session.metrics(), session.info.version)

    return Operation(operation)


def _from_cluster(rows: Callable[[Json], Sequence[Row]]) -> Operation:
    async def operation(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
        return await session.rows(rows, await session.json("/cluster"))

    return Operation(operation)


async def _server(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
    return server_rows.server_rows(await session.telemetry(), session.info.version)


async def _collection(session: Pages, params: CollectionsParams, _state: object) -> Sequence[Row]:
    telemetry = await session.telemetry()
    most = params.max_collections
    return await session.rows(lambda: collections.collection_rows(telemetry, collections_of(telemetry, most)))


async def _disk(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
    if session.disk_size is None:
        return []
    everything = await session.rows(collections_of, await session.telemetry(), sys.maxsize)
    return await expensive_rows.disk_rows(
        session.json, [collection.name for collection in everything], session.disk_size
    )


async def _native(session: Pages, params: NativeParams, _state: object) -> Sequence[Row]:
    page = await session.metrics()
    return await session.rows(native_metrics.native_rows, page, params.columns, params.labels, params.max_rows)


async def _ready(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
    status = await session.status("/readyz")
    if status not in _READY:
        raise QueryError("unsupported" if status == 404 else "query", f"/readyz answered {status}")  # noqa: PLR2004
    return [{"ready": _READY[status]}]


async def _peers(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
    """Ask every peer; one that is frozen costs the server 9.4 s unless it is told to wait less."""
    page = await session.json("/cluster/telemetry?details_level=1&timeout=3")
    return await session.rows(server_rows.peer_rows, page)


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "server": Operation(_server),
        "memory": _from_telemetry(server_rows.memory_rows),
        "ready": Operation(_ready),
        "collections": _from_telemetry(collections.summary_rows),
        "replication": _from_telemetry(collections.replication_rows),
        "collection": Operation(_collection, CollectionsParams),
        "collection_status": _by_collection(collections.status_rows),
        "collection_vectors": _by_collection(collections.vector_rows),
        "collection_optimizations": _by_collection(collections.optimization_rows),
        "collection_replicas": _by_collection(collections.replica_rows),
        "collection_config": _by_collection(config_rows),
        "collection_segments": _by_collection(expensive_rows.segment_rows, segments=True),
        "collection_index": _by_collection(expensive_rows.index_rows, segments=True),
        "collection_memory": _each_collection(expensive_rows.memory_rows),
        "disk": Operation(_disk),
        "snapshots": _each_collection(expensive_rows.snapshot_rows),
        "requests": _from_metrics(native_metrics.request_rows),
        "request_duration": _from_metrics(native_metrics.duration_rows),
        "process_limits": _from_metrics(lambda page, _version: native_metrics.limit_rows(page)),
        "native": Operation(_native, NativeParams),
        "cluster": _from_cluster(server_rows.cluster_rows),
        "cluster_role": _from_cluster(server_rows.raft_role_rows),
        "cluster_messages": _from_cluster(server_rows.unreachable_peer_rows),
        "cluster_peers": Operation(_peers),
        "search": Operation(search, SearchParams, state=list),
        "count": Operation(count, CountParams),
    }
)
