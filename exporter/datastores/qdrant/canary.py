"""A user's own search, sent as an application would send it, and a count."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError, model_validator

from exporter.datastores.json_text import number
from exporter.datastores.qdrant.session import OperationSession, collection_path
from exporter.errors import QueryError
from exporter.queries.operation import Params
from exporter.queries.query import Row
from exporter.versions import version_satisfies

_SAMPLED_POINTS = 10


class SearchParams(Params):
    """Search a collection for the neighbours of a vector, or of stored points taken at random in turn."""

    collection: str
    vector: list[float] | None = Field(default=None, min_length=1)
    using: str | None = None
    limit: int = Field(default=10, ge=1, le=1000)
    filter: dict[str, Any] | None = None
    hnsw_ef: int | None = Field(default=None, ge=1)
    exact: bool = False

    @model_validator(mode="after")
    def _is_a_request(self) -> "SearchParams":
        """Validate the request by Qdrant's client at start-up; its import of 0.6 s is no part of a search then."""
        try:
            _request(_search_body(self, self.vector))
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return self


class CountParams(Params):
    """Count the points of a collection, or those that a filter lets through; exact reads them all."""

    collection: str
    filter: dict[str, Any] | None = None
    exact: bool = False

    @model_validator(mode="after")
    def _filter_is_not_empty(self) -> "CountParams":
        if self.filter == {}:
            raise ValueError("an empty filter lets everything through: leave it out")
        return self


async def search(session: OperationSession, params: SearchParams, points: list[Any]) -> Sequence[Row]:
    """Return one row: the hits, and the seconds that the server measured.

    `points` holds the ids of sampled points between polls, so that a search is one request. A search by id
    ships no vector and does not find the point itself.
    """
    if not version_satisfies(session.info.version, ">=1.10"):
        raise QueryError("unsupported", "needs version >=1.10")
    client = await session.search_client()
    if params.vector is None and not points:
        points.extend(await _sampled(session, client, params))
    if params.vector is None and not points:
        raise QueryError("query", "the collection holds no point to search with")
    if params.vector is None:
        points.append(points.pop(0))
    query = params.vector if params.vector is not None else points[-1]
    try:
        found = await _send(session, client, params.collection, _search_body(params, query))
    except Exception:
        points.clear()  # the point may be gone: the next poll takes others
        raise
    return [{"hits": float(len(found.result.points)), "server_seconds": found.time}]


def _search_body(params: SearchParams, query: object) -> Mapping[str, Any]:
    return {
        "query": query,
        "using": params.using,
        "limit": params.limit,
        "filter": params.filter,
        "params": {"hnsw_ef": params.hnsw_ef, "exact": params.exact},
        "with_payload": False,
        "with_vector": False,
    }


async def _sampled(session: OperationSession, client: Any, params: SearchParams) -> list[Any]:
    body: Mapping[str, Any] = {"query": {"sample": "random"}, "limit": _SAMPLED_POINTS, "filter": params.filter}
    found = await _send(session, client, params.collection, body)
    return [point.id for point in found.result.points]


async def _send(session: OperationSession, client: Any, collection: str, body: Mapping[str, Any]) -> Any:
    """Send a request through the client's REST layer: its own `query_points` drops the server's time."""
    return await client.http.search_api.query_points(
        collection_name=collection, timeout=math.ceil(session.timeout), query_request=_request(body)
    )


def _request(body: Mapping[str, Any]) -> Any:
    from qdrant_client import models  # noqa: PLC0415 - 0.6 s and 75 MiB, only where a canary is configured

    return models.QueryRequest.model_validate(body)


async def count(session: OperationSession, params: CountParams, _state: object) -> Sequence[Row]:
    """Return one row: the points counted."""
    body = {"exact": params.exact, **({} if params.filter is None else {"filter": params.filter})}
    page = await session.json(collection_path(params.collection, "points", "count"), body)
    return [{"points": number(page, "count")}]
