"""Qdrant as a datastore: pages over HTTP, each read once a pass."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from exporter.config.stores.qdrant import QdrantTarget
from exporter.datastores.base import Lane
from exporter.datastores.caches import CachedFacts, PassCache
from exporter.datastores.http_client import BODY_BYTES
from exporter.datastores.json_text import PARSED_BYTES, Json, at, cost, timestamp
from exporter.datastores.off_loop import off_loop
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.qdrant.connection import Connection, SearchClient, result_of
from exporter.datastores.qdrant.errors import page_name, reason_of
from exporter.datastores.qdrant.facts import read_facts
from exporter.datastores.qdrant.native_metrics import metrics_page
from exporter.datastores.qdrant.operations import OPERATIONS
from exporter.datastores.qdrant.snapshots import SnapshotSets, observe
from exporter.datastores.tls import CertificateExpiry, tls_of
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import States, run_operation
from exporter.queries.query import Query, Row
from exporter.versions import version_satisfies

if TYPE_CHECKING:  # loaded for canaries alone
    from qdrant_client import AsyncQdrantClient

_T = TypeVar("_T")

_GLOBAL_PAGES = ("/telemetry", "/metrics", "/cluster")  # what a key for single collections may not read
_PATHS = {
    "cluster": "/cluster",
    # One peer that is frozen delays this page by 9.4 s unless the request asks for less.
    "peers": "/cluster/telemetry?details_level=1&timeout=3",
}


def open_datastore(target: QdrantTarget, transport: httpx.AsyncBaseTransport | None = None) -> "QdrantDatastore":
    """Make the datastore of a target; tests give a transport that answers from recorded pages."""
    return QdrantDatastore(target, transport)


class QdrantDatastore:
    """One Qdrant server, or one peer of a cluster: name every peer as a target of its own.

    The ping is GET /collections: it proves the key (/, /readyz and /livez need none), every key that can read
    anything may read it, and it does not wait for the mutex that a stuck collection holds over /telemetry and
    /metrics. The facts that it does not contain are read again every 10 minutes, and after a failed ping or a restart.
    """

    def __init__(self, target: QdrantTarget, transport: httpx.AsyncBaseTransport | None) -> None:
        self.target = target
        self._transport = transport
        self._tls = tls_of(target)
        self._expiry = CertificateExpiry()
        self._connection: Connection | None = None
        self._search = SearchClient(self._url(), self._tls, transport)
        self._answers = True
        self._facts = CachedFacts[ServerInfo]()
        self._refused: set[str] = set()
        self.states: States = {}
        self.snapshots = SnapshotSets(target.name, target.snapshots) if target.snapshots is not None else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._search.close()
        await self._close()

    @property
    def clock_skew(self) -> float | None:
        return self._connection.clock_skew if self._connection else None

    async def ping(self) -> ServerInfo:
        with self._facts.invalid_after_failure():
            connection = await self._connected()
            if self._facts.is_due():
                connection.reconnect()  # so that a renewed certificate is seen
            await self._prove_key(connection)
            facts = await self._facts.get(partial(read_facts, connection))
            if not (facts.role or facts.missing_privileges):  # a page was missing that the next ping may get
                self._facts.invalidate()
            not_after = await self._expiry.of(self._tls.certificate if self._tls else None)
        return replace(facts, tls_not_after=not_after)

    async def _prove_key(self, connection: Connection) -> None:
        """Read a page that needs a key."""
        self._answers = False
        connection.clock_skew = None
        try:
            await connection.read("/collections")
        except QueryError as error:
            if error.reason == "privilege":  # old servers and gateways answer 403 to a wrong key
                raise QueryError("auth", str(error)) from None
            raise
        self._answers = True

    async def databases(self) -> Sequence[str]:
        return ()

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator["QdrantSession"]:  # noqa: ARG002 - httpx keeps one connection a request
        yield QdrantSession(self)

    def reason(self, error: BaseException) -> Reason:
        return reason_of(error)

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            raise QueryError("connect", "there is no connection")
        return self._connection

    @property
    def info(self) -> ServerInfo:
        if self._facts.known is None:
            raise QueryError("connect", "the server has not answered yet")
        return self._facts.known

    async def search_client(self) -> "AsyncQdrantClient":
        return await self._search.get(self._key())

    def notice_start(self, started_at: float | None) -> None:
        """Read all facts again at the next ping when the server has started since they were read."""
        if self._facts.known and started_at and started_at != self._facts.known.started_at:
            self._facts.invalidate()

    def notice_access(self, path: str, *, refused: bool) -> None:
        """Read all facts again at the next ping when the key has lost or got the right to read a page."""
        name = page_name(path)
        if name in _GLOBAL_PAGES and refused != (name in self._refused):
            self._refused ^= {name}
            self._facts.invalidate()

    def _url(self) -> str:
        return self.target.url.get_secret_value()

    def _key(self) -> str | None:
        try:
            return self.target.secret("api_key")
        except ValueError:
            raise QueryError("auth", "the API key's file cannot be read") from None

    async def _connected(self) -> Connection:
        """Return the client; a new one after a ping that failed, for all connections may lead nowhere."""
        if not self._answers:
            await self._close()
        if self._connection is None:
            self._connection = Connection(self._url(), self._tls, self._transport)
        self._connection.use_key(self._key())
        return self._connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class QdrantSession:
    """One pass. All its pages are held until it ends, so there is a bound for them together."""

    def __init__(self, datastore: QdrantDatastore) -> None:
        self._datastore = datastore
        self._pages = PassCache()
        self._left = PARSED_BYTES
        self._bytes = 0
        self.timeout = math.inf

    @property
    def info(self) -> ServerInfo:
        return self._datastore.info

    @property
    def target(self) -> QdrantTarget:
        return self._datastore.target

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        self.timeout = query.timeout
        return await run_operation(OPERATIONS, self._datastore.states, self, query, database)

    async def read(self, page: str) -> Any:
        match page:
            case "version":
                return self.info.version
            case "telemetry" | "segments":
                return await self._telemetry(segments=page == "segments")
            case "metrics":
                return await self._once("/metrics", self._metrics)
            case "readyz":
                return await self._once("/readyz", self._status)
            case "snapshot_sets":
                return await self._pages.get(page, partial(observe, self, self._datastore.snapshots, self._typed_json))
        return await self.json(_PATHS[page])

    async def json(self, path: str, body: object = None) -> object:
        return await (self._once(path, self._json) if body is None else self._json(path, body))

    async def _typed_json(self, path: str) -> object:
        """Return a page; raise QueryError, and nothing else, when that fails: one page is not the whole query."""
        try:
            return await self.json(path)
        except httpx.HTTPError as error:
            raise QueryError(reason_of(error), type(error).__name__) from None

    async def make_rows(self, make: Callable[..., _T], *arguments: Any) -> _T:
        return await off_loop(self._bytes, make, *arguments)

    async def search_client(self) -> "AsyncQdrantClient":
        return await self._datastore.search_client()

    async def _telemetry(self, *, segments: bool) -> Json:
        """Read the level that holds shards: 3, or 4 with segments; before 1.14 it was 2 for both."""
        new = version_satisfies(self.info.version, ">=1.14")
        level = (4 if segments else 3) if new else 2
        page: Json = await self._once(f"/telemetry?details_level={level}", self._json)
        self._datastore.notice_start(timestamp(at(page, "app", "startup")))
        return page

    async def _json(self, path: str, body: object = None) -> Any:
        left = self._left
        return await result_of(path, await self._read(path, body), left)

    async def _metrics(self, path: str) -> NativePage:
        return metrics_page(await self._read(path))

    async def _status(self, path: str) -> int:
        status, _ = await self._datastore.connection.exchange(path)
        return status

    async def _read(self, path: str, body: object = None) -> bytes:
        """Read a page, and take what it costs from what the pass may still hold."""
        content = await self._datastore.connection.read(path, body, most=max(0, min(BODY_BYTES, self._left)))
        self._left -= cost(content)
        self._bytes += len(content)
        return content

    async def _once(self, path: str, read: Callable[[str], Awaitable[_T]]) -> _T:
        async def noticed() -> _T:
            try:
                page = await read(path)
            except QueryError as error:
                self._datastore.notice_access(path, refused=error.reason == "privilege")
                raise
            self._datastore.notice_access(path, refused=False)
            return page

        return await self._pages.get(path, noticed)
