"""What operations use of a session; every page is read once in a pass."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from exporter.queries.conditions import ServerInfo

if TYPE_CHECKING:  # the client is loaded for canaries alone
    from qdrant_client import AsyncQdrantClient

_T = TypeVar("_T")


class Session(Protocol):
    """The session as operations see it."""

    @property
    def info(self) -> ServerInfo: ...
    @property
    def timeout(self) -> float:
        """The seconds that the running query has."""

    @property
    def disk_size(self) -> float | None:
        """The bytes of the server's disk, where the target's configuration names them."""

    async def read(self, page: str) -> Any:
        """Return a page by its name.

        telemetry: /telemetry with every collection's shards; segments: the same with every shard's segments. metrics:
        the server's own metrics page. cluster, peers: this peer's view of the cluster, and all peers'. readyz: the
        status code of /readyz. version: the server's, of the facts.
        """

    async def json(self, path: str, body: object = None) -> object:
        """Return the `result` of a page; raise QueryError for every status but 200. With a body it is not cached."""

    async def make_rows(self, make: Callable[..., _T], *arguments: Any) -> _T:
        """Call `make` with pages and parameters, off the event loop where this pass has read much."""

    async def search_client(self) -> "AsyncQdrantClient":
        """Return Qdrant's own client."""


def collection_path(name: object, *rest: str) -> str:
    return "/".join(("/collections", quote(str(name), safe=""), *rest))
