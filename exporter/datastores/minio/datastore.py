"""One MinIO server, or any S3 server as far as it answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any, Self

import httpx

from exporter.config.stores.minio import MinioTarget
from exporter.datastores.base import Lane
from exporter.datastores.json_path import Json
from exporter.datastores.minio.connection import CLOCKS_DIFFER, Connection, reason_of
from exporter.datastores.minio.facts import Facts, identity_of, read_facts
from exporter.datastores.minio.operations import OPERATIONS
from exporter.datastores.minio.responses import Health, Refused
from exporter.datastores.minio.signing import Keys
from exporter.datastores.off_loop import off_loop
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.tls import CertificateExpiry, tls_of
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import States, run_operation
from exporter.queries.query import Query, Row
from exporter.units import span

_FACTS_SECONDS = 600.0
_CONSOLE = "InvalidArgument"  # to what is signed, where no bucket and no key can be wrong
_RETRY_SECONDS = 60.0
# A node that is gone keeps its peers' pages waiting, 10,000 buckets take a second: the ping's verdict must not wait.
_PING_SECONDS = 1.0
_PATIENCE_SECONDS = 20.0
# Read quorum is lost: the server is up, knows our keys and says so; the health checks show it.
_ALIVE_CODES = {"NoSuchBucket", "InternalError", "SlowDown", "SlowDownRead", "SlowDownWrite"}


def open_datastore(target: MinioTarget, transport: httpx.AsyncBaseTransport | None = None) -> "MinioDatastore":
    """Make the datastore of a target; tests give a transport that misbehaves."""
    return MinioDatastore(target, transport)


class MinioDatastore:
    """Pings with a signed call, and keeps what it learnt about the server until something contradicts it."""

    def __init__(self, target: MinioTarget, transport: httpx.AsyncBaseTransport | None) -> None:
        self._target = target
        self._tls = tls_of(target)
        self._expiry = CertificateExpiry()
        self._connection = Connection(target.url.get_secret_value(), target.region, self._tls, transport)
        self._facts: Facts | None = None
        self._facts_due = 0.0
        self._doubted = False
        self._reading: asyncio.Task[None] | None = None
        self._states: States = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._forget()
        await self._connection.close()

    @property
    def clock_skew(self) -> float | None:
        return self._connection.skew

    async def ping(self) -> ServerInfo:
        self._connection.skew = None
        keys = self._keys()
        if keys != self._connection.keys:
            self._forget()
            self._connection.sign_in(keys)
        try:
            if self._reading is not None and self._reading.done():
                self._reading.result()  # a fault that nobody foresaw is told by this ping
            known = await self._known()
            not_after = await self._expiry.of(self._tls.certificate if self._tls else None)
        except BaseException:
            self._forget()
            raise
        return replace(known.info, tls_not_after=not_after)

    async def _known(self) -> Facts:
        """Make the round trip; read the facts when there are none, and beside the next pings when they are old."""
        old = time.monotonic() >= self._facts_due
        if old:
            self._connection.renew()  # what is held may lead nowhere, or have shown a certificate of yesterday
            await self._round_trip()
        await self._round_trip()
        if self._facts is None or self._doubted:
            self._doubted = False
            return self._keep(await read_facts(self._connection, _PING_SECONDS), 0.0)
        if old and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read_again(), name=f"{self._target.name} facts")
        return self._facts

    async def _read_again(self) -> None:
        try:
            self._keep(await read_facts(self._connection, _PATIENCE_SECONDS), _RETRY_SECONDS)
        except (Refused, QueryError, httpx.HTTPError, OSError):
            self._facts_due = time.monotonic() + _RETRY_SECONDS  # the ping and the queries tell why

    def _keep(self, facts: Facts, retry_seconds: float) -> Facts:
        """Hold facts that are whole, or the best there are."""
        self._facts_due = time.monotonic() + (_FACTS_SECONDS if facts.complete else retry_seconds)
        if facts.complete or self._facts is None or not self._facts.complete:
            self._facts = facts
        return self._facts

    def _forget(self) -> None:
        self._facts = None
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()

    async def databases(self) -> Sequence[str]:
        return ()

    def session(self, lane: Lane) -> AbstractAsyncContextManager["MinioSession"]:  # noqa: ARG002 - no held connection
        return self._session()

    def reason(self, error: BaseException) -> Reason:
        return reason_of(error)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator["MinioSession"]:
        yield MinioSession(self._connection, self._facts, self._states, self._doubt)

    def _keys(self) -> Keys | None:
        try:
            access, secret = self._target.secret("access_key"), self._target.secret("secret_key")
        except ValueError as error:
            raise QueryError("auth", str(error)) from None
        return Keys(access, secret) if access and secret else None

    async def _round_trip(self) -> None:
        """Prove that an S3 server answers, and that it knows our keys where there are any."""
        try:
            if self._connection.keys is None:
                await self._connection.health("live")
            else:
                await self._connection.prove_keys(self._facts.bucket if self._facts else "")
        except Refused as refused:
            if refused.code == CLOCKS_DIFFER:
                raise QueryError("limit", f"{refused}: {self._clocks()}") from None
            if refused.code == _CONSOLE:
                raise QueryError(
                    "unsupported", f"{refused}: MinIO's console says so; the API has a port of its own"
                ) from None
            if not self._alive(refused):
                raise

    def _alive(self, refused: Refused) -> bool:
        """Tell whether a refusal comes from an S3 server at work, which has found nothing wrong with our keys."""
        if self._connection.keys is None:
            return refused.of_another_server
        return refused.denied or refused.code in _ALIVE_CODES

    def _clocks(self) -> str:
        skew = self._connection.skew
        if skew is None:
            return "the clocks of the server and of the exporter's machine differ too much"
        where = "ahead of" if skew > 0 else "behind"
        return f"the server's clock is {span(round(abs(skew), -1))} {where} the exporter's"

    def _doubt(self) -> None:
        """Read the facts again at the next ping: a page said otherwise."""
        self._doubted = True


class MinioSession:
    """One pass: each page is read at most once, and a page that failed is not tried again."""

    def __init__(self, connection: Connection, facts: Facts | None, states: States, doubt: Callable[[], None]) -> None:
        self._connection = connection
        self._facts = facts
        self._states = states
        self._doubt = doubt
        self._pages: dict[str, Any] = {}

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        try:
            return await run_operation(OPERATIONS, self._states, self, query, database)
        except Refused as refused:
            # What has not said that it lacks a page has failed to give it.
            reason = "decode" if refused.foreign and reason_of(refused) == "unsupported" else reason_of(refused)
            raise QueryError(reason, str(refused)) from None

    @property
    def drives_per_set(self) -> Sequence[int]:
        return self._facts.drives_per_set if self._facts else ()

    async def health(self, endpoint: str) -> Health:
        answer: Health = await self._once(endpoint, lambda: self._connection.health(endpoint))
        return answer

    async def metrics(self) -> NativePage:
        first = "metrics" not in self._pages
        page: NativePage = await self._once("metrics", self._connection.metrics)
        if first and self._facts and await off_loop(page.size, identity_of, page) != self._facts.identity:
            self._doubt()
        return page

    async def info(self) -> Json:
        answer: Json = await self._once("info", lambda: self._connection.admin("info"))
        return answer

    async def account(self) -> Json:
        answer: Json = await self._once("account", lambda: self._connection.admin("account"))
        return answer

    async def usage(self) -> Json:
        answer: Json = await self._once("usage", lambda: self._connection.admin("usage"))
        return answer

    async def _once(self, page: str, read: Callable[[], Awaitable[Any]]) -> Any:
        if page not in self._pages:
            # Stands when a deadline ends the read: who asks next must not wait as long again.
            self._pages[page] = TimeoutError(f"{page} was not answered in this pass")
            try:
                self._pages[page] = await read()
            except Exception as error:
                self._pages[page] = error
                raise
            finally:
                self._compare(page)
        if isinstance(self._pages[page], Exception):
            raise self._pages[page]
        return self._pages[page]

    def _compare(self, page: str) -> None:
        """Doubt the facts when a policy has changed since they were read."""
        answer = self._pages[page]
        denied = isinstance(answer, Refused) and answer.denied
        known = self._facts is not None and page in self._facts.denied
        if denied != known and page != "account" and not isinstance(answer, TimeoutError):
            self._doubt()
