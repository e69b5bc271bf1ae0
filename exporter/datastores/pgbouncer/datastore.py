"""A PgBouncer: one connection to its console for the polls, and one for the steps between them."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Self

from exporter.config.stores.pgbouncer import PgbouncerTarget
from exporter.datastores.base import Datastore, Lane, Session
from exporter.datastores.caches import CachedFacts, PassCache
from exporter.datastores.pgbouncer.connection import Console, reason_of
from exporter.datastores.pgbouncer.operations import OPERATIONS
from exporter.datastores.tls import CertificateExpiry, tls_of
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import PageSession, States, run_operation
from exporter.queries.query import Query, Row


def open_datastore(target: PgbouncerTarget) -> Datastore:
    return PgbouncerDatastore(target)


class PgbouncerDatastore:
    clock_skew = None  # its console has no clock

    def __init__(self, target: PgbouncerTarget) -> None:
        tls = tls_of(target)
        self._consoles: dict[Lane, Console] = {lane: Console(target, tls) for lane in ("fast", "slow", "sampler")}
        self._states: States = {}
        self._expiry = CertificateExpiry()
        self._certificate: CachedFacts[bytes | None] = CachedFacts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(console.close() for console in self._consoles.values()))

    async def ping(self) -> ServerInfo:
        """Read the version, "PgBouncer 1.18.0"."""
        console = self._consoles["fast"]
        [row] = await console.rows("SHOW VERSION")
        not_after = await self._expiry.of(await self._certificate.get(console.certificate, console.opened))
        return ServerInfo(version=str(row["version"]).rpartition(" ")[2], tls_not_after=not_after)

    async def databases(self) -> Sequence[str]:
        return ()

    def session(self, lane: Lane) -> AbstractAsyncContextManager[Session]:
        return nullcontext(PgbouncerSession(self._consoles[lane], self._states, lane))

    def reason(self, error: BaseException) -> Reason:
        return reason_of(error)


class PgbouncerSession(PageSession):
    """One pass; each SHOW command is run once in it."""

    def __init__(self, console: Console, states: States, lane: Lane) -> None:
        self._console = console
        self._states = states
        self._lane = lane
        self._cache = PassCache()

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        """Run an operation, or a user's own SHOW: nothing else, for an administrator's console also obeys."""
        if query.operation is not None:
            step = self._lane == "sampler"
            return await run_operation(OPERATIONS, self._states, self, query, database, step=step)
        show, _, what = str(query.query).strip().rstrip(";").partition(" ")
        if show.upper() != "SHOW":
            raise QueryError("query", f"{query.name}: the console is asked SHOW commands only")
        return await self.read(what.strip().upper())

    async def read(self, page: str) -> Sequence[Row]:
        return await self._cache.get(page, partial(self._console.rows, f"SHOW {page}"))
