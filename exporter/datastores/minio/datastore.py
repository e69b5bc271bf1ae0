"""One MinIO server, or any S3 server as far as it answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Self, TypeVar

import httpx

from exporter.config.stores.minio import MinioTarget
from exporter.datastores.base import Lane
from exporter.datastores.caches import FACTS_SECONDS, CachedFacts, PassCache
from exporter.datastores.minio.connection import Connection
from exporter.datastores.minio.facts import Facts, identity_of, read_facts
from exporter.datastores.minio.operations import OPERATIONS
from exporter.datastores.minio.session import Health, size_of
from exporter.datastores.off_loop import off_loop
from exporter.datastores.s3.errors import CLOCKS_DIFFER, clocks, reason_of
from exporter.datastores.s3.response import ErrorResponse
from exporter.datastores.s3.signing import keys_of
from exporter.datastores.tls import CertificateExpiry, tls_of
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import States, run_operation
from exporter.queries.query import Query, Row

_CONSOLE = "InvalidArgument"  # the code of MinIO's console for our signed request, which has no invalid argument
_RETRY_SECONDS = 60.0
# A missing node delays its peers' pages, 10,000 buckets take a second: a ping does not wait for them.
PING_SECONDS = 1.0
_PATIENCE_SECONDS = 20.0
# Of a server that is up and accepts our keys, also without read quorum, which the health checks show.
_ALIVE_CODES = {"NoSuchBucket", "InternalError", "SlowDown", "SlowDownRead", "SlowDownWrite"}

_T = TypeVar("_T")


def open_datastore(target: MinioTarget, transport: httpx.AsyncBaseTransport | None = None) -> "MinioDatastore":
    """Make the datastore of a target; tests give a transport that misbehaves."""
    return MinioDatastore(target, transport)


class MinioDatastore:
    """Ping with a signed call; keep what is known about the server until a page contradicts it."""

    def __init__(self, target: MinioTarget, transport: httpx.AsyncBaseTransport | None) -> None:
        self._target = target
        self._tls = tls_of(target)
        self._expiry = CertificateExpiry()
        self._connection = Connection(target.url.get_secret_value(), target.region, self._tls, transport)
        self._facts: CachedFacts[Facts] = CachedFacts()
        self._refresh: asyncio.Task[None] | None = None
        self._states: States = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        refresh = self._refresh
        self._forget()
        try:
            if refresh is not None:
                await asyncio.wait([refresh])
        finally:
            await self._connection.close()

    @property
    def clock_skew(self) -> float | None:
        return self._connection.clock_skew

    async def ping(self) -> ServerInfo:
        self._connection.forget_clock()
        keys = keys_of(self._target)
        if keys != self._connection.keys:
            self._forget()
            self._connection.set_credentials(keys)
        try:
            if self._refresh is not None and self._refresh.done():
                self._refresh.result()  # raises an unexpected error of the refresh
            known = await self._known()
            not_after = await self._expiry.of(self._tls.certificate if self._tls else None)
        except BaseException:
            self._forget()
            raise
        return replace(known.info, tls_not_after=not_after)

    async def _known(self) -> Facts:
        """Make the round trip; read the facts where none are valid, and beside the next pings where they expired."""
        expired = self._facts.expired
        if expired:
            self._connection.reconnect()  # the held connection may lead nowhere, or have seen an earlier certificate
            await self._round_trip()
        await self._round_trip()
        if self._facts.known is None or not self._facts.valid:
            self._facts.valid = True  # before the read: an invalidation meanwhile must count
            return await self._read_facts(PING_SECONDS, 0.0)
        if expired and (self._refresh is None or self._refresh.done()):
            self._refresh = asyncio.create_task(self._refresh_facts(), name=f"{self._target.name} facts")
        return self._facts.known

    async def _refresh_facts(self) -> None:
        try:
            await self._read_facts(_PATIENCE_SECONDS, _RETRY_SECONDS)
        except (ErrorResponse, QueryError, httpx.HTTPError, OSError):  # the ping and the queries report the reason
            if self._facts.known is not None:
                self._facts.keep(self._facts.known, _RETRY_SECONDS)

    async def _read_facts(self, seconds: float, retry_seconds: float) -> Facts:
        """Read the facts; keep them where they are complete, or the best there are."""
        facts, known = await read_facts(self._connection, seconds), self._facts.known
        best = facts if facts.complete or known is None or not known.complete else known
        return self._facts.keep(best, FACTS_SECONDS if facts.complete else retry_seconds)

    def _forget(self) -> None:
        """Drop the facts: another server may answer next, or the same one to other keys."""
        self._facts.known = None
        self._facts.invalidate()
        refresh, self._refresh = self._refresh, None
        if refresh is not None:
            refresh.cancel()

    async def databases(self) -> Sequence[str]:
        return ()

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator["MinioSession"]:  # noqa: ARG002 - no held connection
        yield MinioSession(self._connection, self._facts, self._states)

    def reason(self, error: BaseException) -> Reason:
        return reason_of(error)

    async def _round_trip(self) -> None:
        """Prove that an S3 server answers, and that it accepts our keys where there are any."""
        try:
            if self._connection.keys is None:
                await self._connection.health("live")
            else:
                await self._connection.prove_keys(self._facts.known.bucket if self._facts.known else "")
        except ErrorResponse as error:
            if error.code == CLOCKS_DIFFER:
                raise QueryError("limit", f"{error}: {clocks(self._connection.clock_skew)}") from None
            if error.code == _CONSOLE:
                raise QueryError(
                    "unsupported", f"{error}: MinIO's console says so; the API has a port of its own"
                ) from None
            if not self._alive(error):
                raise

    def _alive(self, error: ErrorResponse) -> bool:
        """Return whether a working S3 server sent the error, and has nothing against our keys."""
        if self._connection.keys is None:
            return error.lacks_endpoint
        return error.denied or error.code in _ALIVE_CODES


class MinioSession:
    """One pass: each page is read at most once, and a page that failed is not tried again."""

    def __init__(self, connection: Connection, facts: CachedFacts[Facts], states: States) -> None:
        self._connection = connection
        self._facts = facts
        self._known = facts.known
        self._states = states
        self._pages = PassCache()

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        try:
            return await run_operation(OPERATIONS, self._states, self, query, database)
        except ErrorResponse as error:
            reason = reason_of(error)
            # Only an error code of S3 shows that the server lacks a page; without one the page was not readable.
            raise QueryError("decode" if error.not_s3 and reason == "unsupported" else reason, str(error)) from None

    @property
    def drives_per_set(self) -> Sequence[int]:
        return self._known.drives_per_set if self._known else ()

    async def health(self, endpoint: str) -> Health:
        return await self._pages.get(endpoint, lambda: self._connection.health(endpoint))

    async def read(self, page: str) -> Any:
        return await self._pages.get(page, lambda: self._read(page))

    async def make_rows(self, make: Callable[..., _T], *arguments: Any) -> _T:
        return await off_loop(sum(map(size_of, arguments)), make, *arguments)

    async def _read(self, name: str) -> Any:
        """Read a page; invalidate the facts where it shows that the policy or the server has changed since."""
        try:
            page = await self._connection.page(name)
        except TimeoutError:  # proves nothing
            raise
        except Exception as error:
            self._compare_access(name, denied=isinstance(error, ErrorResponse) and error.denied)
            raise
        self._compare_access(name, denied=False)
        if name == "metrics" and self._known and await off_loop(page.size, identity_of, page) != self._known.identity:
            self._facts.invalidate()
        return page

    def _compare_access(self, name: str, *, denied: bool) -> None:
        was_denied = self._known is not None and name in self._known.denied
        if denied != was_denied and name != "account":
            self._facts.invalidate()
