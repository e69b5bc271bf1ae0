"""Qdrant as a datastore: raw pages over HTTP, read once a pass."""

import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Self, TypeVar, TypeVarTuple

import httpx

from exporter.config.stores.qdrant import QdrantTarget
from exporter.datastores.base import Lane
from exporter.datastores.http_client import BODY_BYTES, Bounded, http_reason, http_transport
from exporter.datastores.json_page import PARSED_BYTES, cost
from exporter.datastores.json_path import Json, at, timestamp
from exporter.datastores.off_loop import off_loop
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.qdrant.connection import Api, reason_of_status, result_of
from exporter.datastores.qdrant.facts import read_facts
from exporter.datastores.qdrant.native_metrics import metrics_page
from exporter.datastores.qdrant.operations import OPERATIONS
from exporter.datastores.tls import CertificateExpiry, tls_of
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import States, run_operation
from exporter.queries.query import Query, Row
from exporter.versions import version_satisfies

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")

_FACTS_SECONDS = 600.0
_SEARCH_BYTES = 2**20  # of one answer to a canary: a thousand hits have some 100 kB
_GLOBAL_PAGES = ("/telemetry", "/metrics", "/cluster")  # what a key for single collections may not read


def open_datastore(target: QdrantTarget, transport: httpx.AsyncBaseTransport | None = None) -> "QdrantDatastore":
    """Make the datastore of a target; tests give a transport that answers from recorded pages."""
    return QdrantDatastore(target, transport)


class QdrantDatastore:
    """One Qdrant server, or one peer of a cluster: name every peer as a target of its own.

    The ping is GET /collections: it proves the key (/, /readyz and /livez answer anybody), any key that can read
    at all may read it, and it does not wait for the mutex that a stuck collection holds over /telemetry and
    /metrics. What that answer does not say is read again every 10 minutes, and after a failed ping or a restart.
    """

    def __init__(self, target: QdrantTarget, transport: httpx.AsyncBaseTransport | None) -> None:
        self._target = target
        self._transport = transport
        self._tls = tls_of(target)
        self._expiry = CertificateExpiry()
        self._api: Api | None = None
        self._answers = True
        self._info: ServerInfo | None = None
        self._info_read_at = -math.inf
        self._refused: set[str] = set()
        self._states: States = {}
        self._search_client: Any = None
        self._search_key: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._close_search_client()
        await self._close_api()

    @property
    def clock_skew(self) -> float | None:
        return self._api.clock_skew if self._api else None

    async def ping(self) -> ServerInfo:
        read_at, self._info_read_at = self._info_read_at, -math.inf  # so it stays when the ping fails
        api = await self._connected()
        due = self._info is None or time.monotonic() - read_at > _FACTS_SECONDS
        if due:
            api.renew()  # a certificate that was renewed shows
        await self._prove(api)
        if self._info is None or due:
            self._info = await read_facts(api)
            complete = self._info.role or self._info.missing_privileges
            read_at = time.monotonic() if complete else -math.inf
        not_after = await self._expiry.of(self._tls.certificate if self._tls else None)
        self._info_read_at = read_at
        self._info = replace(self._info, tls_not_after=not_after)
        return self._info

    async def _prove(self, api: Api) -> None:
        """Ask what only who has a key is answered."""
        self._answers = False
        api.clock_skew = None
        try:
            await api.read("/collections")
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
        known = http_reason(error)
        if known is not None:
            return known
        # Qdrant's own client wraps what happened to it in exceptions that are not worth importing it for.
        source, status = getattr(error, "source", None), getattr(error, "status_code", None)
        if isinstance(source, BaseException):
            return self.reason(source)
        if isinstance(status, int):
            return reason_of_status(status)
        return "decode"  # whatever else fails does so on a page that is not what such a page is

    def api(self) -> Api:
        if self._api is None:
            raise QueryError("connect", "there is no connection")
        return self._api

    def info(self) -> ServerInfo:
        if self._info is None:
            raise QueryError("connect", "the server has not answered yet")
        return self._info

    @property
    def disk_size(self) -> float | None:
        return self._target.disk_size

    def states(self) -> States:
        return self._states

    def notice_start(self, started_at: float | None) -> None:
        """Read all facts again at the next ping when the server has started since they were read."""
        if self._info and started_at and started_at != self._info.started_at:
            self._info_read_at = -math.inf

    def notice_access(self, path: str, page: object) -> None:
        """Read all facts again at the next ping when the key may read a page no longer, or at last."""
        refused = isinstance(page, QueryError) and page.reason == "privilege"
        name = path.partition("?")[0]
        if name in _GLOBAL_PAGES and refused != (name in self._refused):
            self._refused ^= {name}
            self._info_read_at = -math.inf

    async def search_client(self) -> Any:
        """Return AsyncQdrantClient, imported for those alone who configured a canary: it costs 75 MiB.

        `metadata` carries the key because `api_key` warns on plain HTTP; `port=None` keeps the URL as it is.
        """
        key = self._key()
        if self._search_client is None or key != self._search_key:
            await self._close_search_client()
            from qdrant_client import AsyncQdrantClient  # noqa: PLC0415 - see above

            self._search_key = key
            self._search_client = AsyncQdrantClient(
                url=self._url(),
                port=None,
                prefer_grpc=False,
                check_compatibility=False,
                timeout=60,
                metadata={} if key is None else {"api-key": key},
                trust_env=False,
                transport=Bounded(self._transport or http_transport(self._tls, 2), _SEARCH_BYTES),
            )
        return self._search_client

    def _url(self) -> str:
        return self._target.url.get_secret_value()

    def _key(self) -> str | None:
        try:
            return self._target.secret("api_key")
        except ValueError:
            raise QueryError("auth", "the API key's file cannot be read") from None

    async def _connected(self) -> Api:
        """Return the client; a new one after a ping that failed, for all connections may lead nowhere."""
        if not self._answers:
            await self._close_api()
        if self._api is None:
            self._api = Api(self._url(), self._tls, self._transport)
        self._api.use_key(self._key())
        return self._api

    async def _close_api(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    async def _close_search_client(self) -> None:
        client, self._search_client = self._search_client, None
        if client is not None:
            await client.close()


class QdrantSession:
    """One pass; each page is asked for once, and a page that was refused is not asked for again either.

    All pages are held until the pass ends, so there is a bound for them together.
    """

    def __init__(self, datastore: QdrantDatastore) -> None:
        self._datastore = datastore
        self._pages: dict[str, Any] = {}
        self._left = PARSED_BYTES
        self._bytes = 0
        self.timeout = math.inf

    @property
    def info(self) -> ServerInfo:
        return self._datastore.info()

    @property
    def disk_size(self) -> float | None:
        return self._datastore.disk_size

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        self.timeout = query.timeout
        return await run_operation(OPERATIONS, self._datastore.states(), self, query, database)

    async def json(self, path: str, body: object = None) -> Any:
        return await (self._once(path, self._json) if body is None else self._json(path, body))

    async def metrics(self) -> NativePage:
        page: NativePage = await self._once("/metrics", self._metrics)
        return page

    async def status(self, path: str) -> int:
        status, _ = await self._once(path, self._datastore.api().exchange)
        return int(status)

    async def rows(self, make: Callable[[*_Args], _T], *pages: *_Args) -> _T:
        return await off_loop(self._bytes, make, *pages)

    async def telemetry(self, *, segments: bool = False) -> Json:
        """Return the level that holds shards: 3, or 4 with segments; before 1.14 it was 2 for both."""
        new = version_satisfies(self.info.version, ">=1.14")
        level = (4 if segments else 3) if new else 2
        page: Json = await self.json(f"/telemetry?details_level={level}")
        self._datastore.notice_start(timestamp(at(page, "app", "startup")))
        return page

    async def search_client(self) -> Any:
        return await self._datastore.search_client()

    async def _json(self, path: str, body: object = None) -> Any:
        left = self._left
        return await result_of(path, await self._read(path, body), left)

    async def _metrics(self, path: str) -> NativePage:
        return metrics_page(await self._read(path))

    async def _read(self, path: str, body: object = None) -> bytes:
        """Read a page, and take what it costs from what the pass may still hold."""
        content = await self._datastore.api().read(path, body, most=max(0, min(BODY_BYTES, self._left)))
        self._left -= cost(content)
        self._bytes += len(content)
        return content

    async def _once(self, path: str, read: Any) -> Any:
        if path not in self._pages:
            try:
                self._pages[path] = await read(path)
            except QueryError as error:
                self._pages[path] = error
            self._datastore.notice_access(path, self._pages[path])
        page = self._pages[path]
        if isinstance(page, QueryError):
            raise page
        return page
