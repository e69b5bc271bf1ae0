"""A PgBouncer: its console is asked on one connection for the polls and one for the looks in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

from exporter.config.stores.pgbouncer import PgbouncerTarget
from exporter.datastores.base import Datastore, Lane, Session
from exporter.datastores.pgbouncer.connection import Console
from exporter.datastores.pgbouncer.errors import reason_of
from exporter.datastores.pgbouncer.operations import OPERATIONS
from exporter.datastores.tls import CertificateExpiry, warn_unverified
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import States, run_operation, take_step
from exporter.queries.query import Query, Row

_CERTIFICATE_SECONDS = 600.0


def open_datastore(target: PgbouncerTarget) -> Datastore:
    return PgbouncerDatastore(target)


class PgbouncerDatastore:
    clock_skew = None  # its console has no clock

    def __init__(self, target: PgbouncerTarget) -> None:
        warn_unverified(target)
        self._consoles: dict[Lane, Console] = {lane: Console(target) for lane in ("fast", "slow", "sampler")}
        self._states: States = {}
        self._expiry = CertificateExpiry()
        self._certificate: bytes | None = None
        self._certificate_of = 0
        self._certificate_due = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(console.close() for console in self._consoles.values()))

    async def ping(self) -> ServerInfo:
        """Ask for the version, "PgBouncer 1.18.0"."""
        console = self._consoles["fast"]
        [row] = await console.rows("SHOW VERSION")
        if console.opened != self._certificate_of or time.monotonic() > self._certificate_due:
            self._certificate = await console.certificate()
            self._certificate_of, self._certificate_due = console.opened, time.monotonic() + _CERTIFICATE_SECONDS
        not_after = await self._expiry.of(self._certificate)
        return ServerInfo(version=str(row["version"]).rpartition(" ")[2], tls_not_after=not_after)

    async def databases(self) -> Sequence[str]:
        return ()

    def session(self, lane: Lane) -> AbstractAsyncContextManager[Session]:
        return self._session(lane)

    @asynccontextmanager
    async def _session(self, lane: Lane) -> AsyncIterator[Session]:
        yield PgbouncerSession(self._consoles[lane], self._states, lane)

    def reason(self, error: BaseException) -> Reason:
        return reason_of(error)


class PgbouncerSession:
    """One pass: what SHOW told once it is not asked again."""

    def __init__(self, console: Console, states: States, lane: Lane) -> None:
        self._console = console
        self._states = states
        self._lane = lane
        self._shown: dict[str, Sequence[Row]] = {}

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        """Run an operation, or a user's own SHOW: nothing else, for an administrator's console also obeys."""
        if query.operation is not None:
            run = take_step if self._lane == "sampler" else run_operation
            return await run(OPERATIONS, self._states, self, query, database)
        show, _, what = str(query.query).strip().rstrip(";").partition(" ")
        if show.upper() != "SHOW":
            raise QueryError("query", f"{query.name}: the console is asked SHOW commands only")
        return await self.show(what.strip().upper())

    async def show(self, what: str) -> Sequence[Row]:
        if what not in self._shown:
            self._shown[what] = await self._console.rows(f"SHOW {what}")
        return self._shown[what]
