"""The operations of query files for MinIO: pages become rows here, nothing but pages is read."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from pydantic import Field, field_validator

from exporter.datastores.json_path import Json, objects
from exporter.datastores.minio import cluster_rows, page_rows, usage_rows
from exporter.datastores.minio.largest import LargestParams, Members
from exporter.datastores.minio.responses import Pages, Refused
from exporter.datastores.off_loop import off_loop
from exporter.datastores.prometheus_text import NativePage
from exporter.errors import QueryError
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

# The server counts these from zero again after each read of the page: several readers steal from each other.
_RESET_BY_READING = {"minio_s3_requests_incoming_total"}


class HealthParams(Params):
    """Name the health endpoint below /minio/health/."""

    endpoint: Literal["live", "ready", "cluster", "cluster/read"]


class NativeParams(Params):
    """Pick families of the server's metrics page: column to family, and our label to its label.

    Samples that differ in other labels are added up. Columns in `zero` are 0 where the server has not counted yet.
    """

    columns: dict[str, str] = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict)
    zero: list[str] = Field(default_factory=list)

    @field_validator("columns")
    @classmethod
    def _columns_hold_still(cls, columns: dict[str, str]) -> dict[str, str]:
        for family in _RESET_BY_READING & set(columns.values()):
            raise ValueError(f"{family} starts again with every read of the page and means nothing")
        return columns


class TtfbParams(Params):
    """Name the APIs to show, as the server writes them."""

    apis: list[str] = Field(min_length=1)


async def health(session: Pages, params: HealthParams, _state: object) -> Sequence[Row]:
    """Ask a health endpoint.

    A 503 with the header x-minio-server-status is a server that still starts; without it the answer is no.
    https://github.com/minio/minio/blob/master/cmd/healthcheck-handler.go
    """
    try:
        answer = await session.health(params.endpoint)
    except Refused as refused:
        if not refused.of_another_server:
            raise
        raise QueryError("unsupported", str(refused)) from None  # old releases lack some of the endpoints
    no = "warn" if "x-minio-server-status" in answer.headers else "fail"
    status = "pass" if answer.status == 200 else no  # noqa: PLR2004 - HTTP's OK
    kind = "read" if params.endpoint == "cluster/read" else "write"
    quorum = answer.headers.get(f"x-minio-{kind}-quorum", "")
    return [{"ok": status == "pass", "quorum": float(quorum) if quorum.isdigit() else None, "status": status}]


async def native(session: Pages, params: NativeParams, _state: object) -> Sequence[Row]:
    page = await session.metrics()
    return await off_loop(page.size, page.rows, params.columns, params.labels, params.zero)


async def ttfb(session: Pages, params: TtfbParams, _state: object) -> Sequence[Row]:
    page = await session.metrics()
    return await off_loop(page.size, page_rows.ttfb_rows, page, params.apis)


async def erasure_sets(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
    page = await session.metrics()
    return await off_loop(page.size, page_rows.erasure_set_rows, page, session.drives_per_set)


async def drives(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
    try:
        info = await session.info()
        return await off_loop(_size(info), cluster_rows.drive_rows, info)
    except Refused as refused:
        _unless_forbidden(refused)
        page = await session.metrics()
        return await off_loop(page.size, cluster_rows.drive_rows_of_page, page, session.drives_per_set)


async def nodes(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
    try:
        return cluster_rows.node_rows(await session.info())
    except Refused as refused:
        _unless_forbidden(refused)
        page = await session.metrics()
        return await off_loop(page.size, cluster_rows.node_rows_of_page, page)


async def buckets(session: Pages, params: LargestParams, state: Members) -> Sequence[Row]:
    try:
        usage = await session.usage()
        return await off_loop(_size(usage), usage_rows.bucket_rows, usage, params.top, state)
    except Refused as refused:
        _unless_forbidden(refused)
        account = await session.account()
        return await off_loop(_size(account), usage_rows.bucket_rows_of_account, account, params.top, state)


def _size(page: Json) -> int:
    """Return about how many bytes what is listed on an admin page would take."""
    drives = sum(len(objects(node, "drives")) for node in objects(page, "servers"))
    return 200 * (drives + sum(len(found) for found in page.values() if isinstance(found, list | dict)))


def _unless_forbidden(refused: Refused) -> None:
    """Let only a missing privilege or endpoint lead to the second-best source."""
    if not (refused.denied or refused.not_there):
        raise refused


def _of_page(rows: Callable[[NativePage], Sequence[Row]]) -> Operation:
    async def operation(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
        page = await session.metrics()
        return await off_loop(page.size, rows, page)

    return Operation(operation)


def _of_usage(rows: Callable[[Json], Sequence[Row]]) -> Operation:
    async def operation(session: Pages, _params: Params, _state: object) -> Sequence[Row]:
        return rows(await session.usage())

    return Operation(operation)


def _of_account(rows: Callable[[Json, int, Members], Sequence[Row]]) -> Operation:
    async def operation(session: Pages, params: LargestParams, state: Members) -> Sequence[Row]:
        account = await session.account()
        return await off_loop(_size(account), rows, account, params.top, state)

    return Operation(operation, LargestParams, Members)


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "bucket_flags": _of_account(usage_rows.flag_rows),
        "bucket_versioning": _of_account(usage_rows.versioning_rows),
        "buckets": Operation(buckets, LargestParams, Members),
        "capacity": _of_page(page_rows.capacity_rows),
        "disk": _of_page(page_rows.disk_rows),
        "drives": Operation(drives),
        "erasure_sets": Operation(erasure_sets),
        "health": Operation(health, HealthParams),
        "native": Operation(native, NativeParams),
        "nodes": Operation(nodes),
        "rejected_requests": _of_page(page_rows.rejected_rows),
        "request_errors": _of_page(page_rows.error_rows),
        "ttfb": Operation(ttfb, TtfbParams),
        "usage": _of_usage(usage_rows.usage_rows),
    }
)
