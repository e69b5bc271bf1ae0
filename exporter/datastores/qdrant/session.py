"""What an operation may read of a session."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, TypeVarTuple
from urllib.parse import quote

from exporter.datastores.json_path import Json
from exporter.datastores.prometheus_text import NativePage
from exporter.queries.conditions import ServerInfo

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


class Pages(Protocol):
    """The session as operations see it; a page that was read once in this pass is not read again."""

    info: ServerInfo
    timeout: float  # of the query that runs, in seconds
    disk_size: float | None  # in bytes, as the target's configuration says

    async def json(self, path: str, body: object = None) -> Any:
        """Return the `result` of a page; raise QueryError for every other answer."""

    async def metrics(self) -> NativePage:
        """Return the server's own metrics page."""

    async def status(self, path: str) -> int:
        """Return the status code alone."""

    async def rows(self, make: Callable[[*_Args], _T], *pages: *_Args) -> _T:
        """Make rows of pages, off the loop where this pass has read much."""

    async def telemetry(self, *, segments: bool = False) -> Json:
        """Return /telemetry with every collection's shards, and with every shard's segments where asked."""

    async def search_client(self) -> Any:
        """Return Qdrant's own client, an AsyncQdrantClient."""


def collection_path(name: object, *rest: str) -> str:
    return "/".join(("/collections", quote(str(name), safe=""), *rest))
