"""What an operation may ask of a session, and tolerant reads of pages that change with each server version."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, TypeVarTuple
from urllib.parse import quote

from exporter.queries.conditions import ServerInfo

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")
Page = Mapping[str, Any]


class Pages(Protocol):
    """The session as operations see it; a page that was read once in this pass is not read again."""

    info: ServerInfo
    timeout: float  # of the query that runs, in seconds
    disk_size: float | None  # in bytes, as the target's configuration says

    async def json(self, path: str, body: object = None) -> Any:
        """Return the `result` of a page; raise QueryError for every other answer."""

    async def text(self, path: str) -> bytes:
        """Return a text page as it is."""

    async def status(self, path: str) -> int:
        """Return the status code alone."""

    async def rows(self, make: Callable[[*_Args], _T], *pages: *_Args) -> _T:
        """Make rows of pages, off the loop where this pass has read much."""

    async def telemetry(self, *, segments: bool = False) -> Page:
        """Return /telemetry with every collection's shards, and with every shard's segments where asked."""

    async def search_client(self) -> Any:
        """Return Qdrant's own client, an AsyncQdrantClient."""


def at(page: object, *keys: str) -> Any:
    """Follow keys into a page; None where one of them is not there."""
    for key in keys:
        if not isinstance(page, Mapping):
            return None
        page = page.get(key)
    return page


def number(page: object, *keys: str) -> float | None:
    """Return a number of a page; None where it is not there or is no number."""
    value = at(page, *keys)
    return float(value) if isinstance(value, int | float) else None


def rows_of(page: object, *keys: str) -> list[Page]:
    """Return a list of objects of a page; empty where it is not there."""
    value = at(page, *keys)
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def total(values: list[float | None]) -> float | None:
    """Add up what is there; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def timestamp(value: object) -> float | None:
    """Read a time such as 2026-11-21T02:43:09.660Z as Unix time; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # the latter for a moment before the year 1 elsewhere
        return None


def collection_path(name: object, *rest: str) -> str:
    return "/".join(("/collections", quote(str(name), safe=""), *rest))
