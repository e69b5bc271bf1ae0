"""The operations of query files for MinIO: rows made of its pages."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal

from pydantic import Field, field_validator

from exporter.datastores.minio import bucket_rows, cluster_rows, page_rows
from exporter.datastores.minio.bucket_rows import LargestParams, Members
from exporter.datastores.minio.session import OperationSession
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.s3.response import ErrorResponse
from exporter.errors import QueryError
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

# The server restarts these at zero after each read of the page, so several readers take counts from each other.
_RESET_BY_READING = {"minio_s3_requests_incoming_total"}

_Source = tuple[str, Callable[..., Sequence[Row]]]  # a page, and what makes rows of it


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


async def health(session: OperationSession, params: HealthParams, _state: object) -> Sequence[Row]:
    """Request a health endpoint.

    A 503 with the header x-minio-server-status is a server that still starts; without it the answer is no.
    https://github.com/minio/minio/blob/master/cmd/healthcheck-handler.go
    """
    try:
        answer = await session.health(params.endpoint)
    except ErrorResponse as error:
        if not error.lacks_endpoint:
            raise
        raise QueryError("unsupported", str(error)) from None  # old releases lack some of the endpoints
    no = "warn" if "x-minio-server-status" in answer.headers else "fail"
    status = "pass" if answer.status == 200 else no  # noqa: PLR2004 - HTTP's OK
    kind = "read" if params.endpoint == "cluster/read" else "write"
    quorum = answer.headers.get(f"x-minio-{kind}-quorum", "")
    return [{"ok": status == "pass", "quorum": float(quorum) if quorum.isdigit() else None, "status": status}]


def native(page: NativePage, params: NativeParams) -> Sequence[Row]:
    return page.rows(params.columns, params.labels, params.zero)


def ttfb(page: NativePage, params: TtfbParams) -> Sequence[Row]:
    return page_rows.ttfb_rows(page, params.apis)


async def erasure_sets(session: OperationSession, _params: Params, _state: object) -> Sequence[Row]:
    return await session.make_rows(page_rows.erasure_set_rows, await session.read("metrics"), session.drives_per_set)


async def drives(session: OperationSession, _params: Params, _state: object) -> Sequence[Row]:
    of_page = partial(cluster_rows.drive_rows_of_page, drives_per_set=session.drives_per_set)
    return await _first_allowed(session, ("info", cluster_rows.drive_rows), ("metrics", of_page))


async def nodes(session: OperationSession, _params: Params, _state: object) -> Sequence[Row]:
    return await _first_allowed(session, ("info", cluster_rows.node_rows), ("metrics", cluster_rows.node_rows_of_page))


async def buckets(session: OperationSession, params: LargestParams, state: Members) -> Sequence[Row]:
    sources = ("usage", bucket_rows.bucket_rows), ("account", bucket_rows.bucket_rows_of_account)
    return await _first_allowed(session, *sources, params, state)


async def _first_allowed(
    session: OperationSession, first: _Source, second: _Source, *arguments: object
) -> Sequence[Row]:
    """Make rows of the first page, or of the second where the server lacks the first or our keys may not read it."""
    try:
        return await session.make_rows(first[1], await session.read(first[0]), *arguments)
    except ErrorResponse as error:
        if not (error.denied or error.not_found):
            raise
    return await session.make_rows(second[1], await session.read(second[0]), *arguments)


_METRICS = ("metrics",)

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "bucket_flags": Operation(bucket_rows.flag_rows, LargestParams, Members, reads=("account",)),
        "bucket_versioning": Operation(bucket_rows.versioning_rows, LargestParams, Members, reads=("account",)),
        "buckets": Operation(buckets, LargestParams, Members),
        "capacity": Operation(page_rows.capacity_rows, reads=_METRICS),
        "disk": Operation(page_rows.disk_rows, reads=_METRICS),
        "drives": Operation(drives),
        "erasure_sets": Operation(erasure_sets),
        "health": Operation(health, HealthParams),
        "native": Operation(native, NativeParams, reads=_METRICS),
        "nodes": Operation(nodes),
        "rejected_requests": Operation(page_rows.rejected_rows, reads=_METRICS),
        "request_errors": Operation(page_rows.error_rows, reads=_METRICS),
        "ttfb": Operation(ttfb, TtfbParams, reads=_METRICS),
        "usage": Operation(bucket_rows.usage_rows, reads=("usage",)),
    }
)
