"""One toy server, asked over a connection per line."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from exporter.datastores.base import Datastore, Lane
from exporter.datastores.caches import PassCache
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import States, run_operation
from exporter.queries.query import Query, Row

from .operations import OPERATIONS
from .store import ToyTarget


def open_datastore(target: ToyTarget) -> Datastore:
    return ToyDatastore(target)


class ToyDatastore:
    clock_skew = None  # its answers have no date

    def __init__(self, target: ToyTarget) -> None:
        self._url = urlsplit(target.url.get_secret_value())
        self.states: States = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass  # no connection outlives its answer

    async def ping(self) -> ServerInfo:
        return ServerInfo(version=str(await self.read("version")))

    async def databases(self) -> Sequence[str]:
        return ()

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator["ToySession"]:  # noqa: ARG002 - all lanes are alike
        yield ToySession(self)

    def reason(self, error: BaseException) -> Reason:
        if isinstance(error, QueryError):
            return error.reason
        return "timeout" if isinstance(error, TimeoutError) else "connect" if isinstance(error, OSError) else "decode"

    async def read(self, page: str) -> Any:
        """Send a line, and return what the JSON in answer holds."""
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        try:
            writer.write(f"{page}\n".encode())
            return json.loads(await reader.readline())
        finally:
            writer.close()


class ToySession:
    """One pass, which reads each page once."""

    def __init__(self, datastore: ToyDatastore) -> None:
        self._datastore = datastore
        self._pages = PassCache()

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        return await run_operation(OPERATIONS, self._datastore.states, self, query, database)

    async def read(self, page: str) -> Any:
        return await self._pages.get(page, lambda: self._datastore.read(page))

    async def make_rows(self, make: Any, *arguments: Any) -> Any:
        return make(*arguments)
