"""What operations use of a session; every page is read once in a pass."""

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from exporter.config.stores.qdrant import QdrantTarget
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import PageSession

if TYPE_CHECKING:  # the client is loaded for canaries alone
    from qdrant_client import AsyncQdrantClient


class OperationSession(PageSession, Protocol):
    """The session as operations see it."""

    @property
    def info(self) -> ServerInfo: ...
    @property
    def target(self) -> QdrantTarget: ...
    @property
    def timeout(self) -> float:
        """The seconds that the running query has."""

    async def read(self, page: str) -> Any:
        """Return a page by its name.

        telemetry: /telemetry with every collection's shards; segments: the same with every shard's segments. metrics:
        the server's own metrics page. cluster, peers: this peer's view of the cluster, and all peers'. readyz: the
        status code of /readyz. version: the server's, of the facts. snapshot_sets: the snapshots that
        the target's policy expects.
        """

    async def json(self, path: str, body: object = None) -> object:
        """Return the `result` of a page; raise QueryError for every status but 200. With a body it is not cached."""

    async def search_client(self) -> "AsyncQdrantClient":
        """Return Qdrant's own client."""


def collection_path(name: object, *rest: str) -> str:
    return "/".join(("/collections", quote(str(name), safe=""), *rest))
