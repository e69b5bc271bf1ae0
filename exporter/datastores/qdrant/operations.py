"""The operations of query files for Qdrant: functions that make rows of pages."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from pydantic import Field

from exporter.datastores.json_text import Json
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.qdrant import collections, expensive_rows, native_metrics, server_rows, snapshots
from exporter.datastores.qdrant.canary import CountParams, SearchParams, count, search
from exporter.datastores.qdrant.collection_config import config_rows
from exporter.datastores.qdrant.collections import Collection, collections_of
from exporter.datastores.qdrant.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row


class CollectionsParams(Params):
    """Bound what is shown by collection: those in trouble first, then those with the most points."""

    max_collections: int = Field(default=200, ge=1)


class NativeParams(Params):
    """Pick metrics of the server's own /metrics page: column to metric, and our label to its label.

    Samples that differ in other labels are added up. Of more than `max_rows` rows those with the highest first column
    are kept.
    """

    columns: dict[str, str] = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict)
    max_rows: int = Field(default=500, ge=1)


def _native(page: NativePage, params: NativeParams) -> Sequence[Row]:
    return native_metrics.native_rows(page, params.columns, params.labels, params.max_rows)


def _collection(telemetry: Json, params: CollectionsParams) -> Sequence[Row]:
    return collections.collection_rows(telemetry, collections_of(telemetry, params.max_collections))


def _by_collection(rows: Callable[[Sequence[Collection]], Sequence[Row]], page: str = "telemetry") -> Operation:
    def of_shown(telemetry: Json, params: CollectionsParams) -> Sequence[Row]:
        return rows(collections_of(telemetry, params.max_collections))

    return Operation(of_shown, CollectionsParams, reads=(page,))


def _each_collection(rows: Callable[[expensive_rows.Read, Sequence[str]], Awaitable[Sequence[Row]]]) -> Operation:
    async def operation(session: OperationSession, params: CollectionsParams, _state: object) -> Sequence[Row]:
        return await rows(session.json, await _names(session, params.max_collections))

    return Operation(operation, CollectionsParams)


async def _disk(session: OperationSession, _params: Params, _state: object) -> Sequence[Row]:
    if session.target.disk_size is None:
        return []
    return await expensive_rows.disk_rows(session.json, await _names(session), session.target.disk_size)


async def _snapshots(session: OperationSession, params: CollectionsParams, _state: object) -> Sequence[Row]:
    return await snapshots.fact_rows(session, await _names(session, params.max_collections))


async def _names(session: OperationSession, most: int | None = None) -> Sequence[str]:
    found = await session.make_rows(collections_of, await session.read("telemetry"), most)
    return [collection.name for collection in found]


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "server": Operation(server_rows.server_rows, reads=("telemetry", "version")),
        "memory": Operation(server_rows.memory_rows, reads=("telemetry",)),
        "ready": Operation(server_rows.ready_rows, reads=("readyz",)),
        "collections": Operation(collections.summary_rows, reads=("telemetry",)),
        "replication": Operation(collections.replication_rows, reads=("telemetry",)),
        "collection": Operation(_collection, CollectionsParams, reads=("telemetry",)),
        "collection_status": _by_collection(collections.status_rows),
        "collection_vectors": _by_collection(collections.vector_rows),
        "collection_optimizations": _by_collection(collections.optimization_rows),
        "collection_replicas": _by_collection(collections.replica_rows),
        "collection_config": _by_collection(config_rows),
        "collection_segments": _by_collection(expensive_rows.segment_rows, "segments"),
        "collection_index": _by_collection(expensive_rows.index_rows, "segments"),
        "collection_memory": _each_collection(expensive_rows.memory_rows),
        "disk": Operation(_disk),
        "snapshots": Operation(_snapshots, CollectionsParams),
        "snapshot_sets": Operation(snapshots.set_rows, reads=("snapshot_sets",)),
        "snapshot_formats": Operation(snapshots.format_rows, reads=("snapshot_sets",)),
        "snapshot_rejected": Operation(snapshots.rejected_rows, reads=("snapshot_sets",)),
        "snapshot_retention": Operation(snapshots.retention_rows, reads=("snapshot_sets",)),
        "requests": Operation(native_metrics.request_rows, reads=("metrics", "version")),
        "request_duration": Operation(native_metrics.duration_rows, reads=("metrics", "version")),
        "process_limits": Operation(native_metrics.limit_rows, reads=("metrics",)),
        "native": Operation(_native, NativeParams, reads=("metrics",)),
        "cluster": Operation(server_rows.cluster_rows, reads=("cluster",)),
        "cluster_role": Operation(server_rows.raft_role_rows, reads=("cluster",)),
        "cluster_messages": Operation(server_rows.unreachable_peer_rows, reads=("cluster",)),
        "cluster_peers": Operation(server_rows.peer_rows, reads=("peers",)),
        "search": Operation(search, SearchParams, state=list),
        "count": Operation(count, CountParams),
    }
)
