"""One place of backups, and the places that its sets are copies of."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import httpx

from exporter.config.stores.backups import BackupsTarget, Original, OriginalSet
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.datastores.backups.formats.registry import FORMATS
from exporter.datastores.backups.operations import OPERATIONS
from exporter.datastores.backups.places.opened_place import OpenedPlace, open_original, open_place
from exporter.datastores.backups.reading import SetsReader
from exporter.datastores.base import Lane
from exporter.datastores.caches import PassCache
from exporter.datastores.http_client import http_reason
from exporter.datastores.off_loop import off_loop
from exporter.errors import Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import States, run_operation
from exporter.queries.query import Query, Row

_BACKUP_BYTES = 200  # about what the facts of one take

_T = TypeVar("_T")


def open_datastore(target: BackupsTarget, transport: httpx.AsyncBaseTransport | None = None) -> "BackupsDatastore":
    """Make the datastore of a target that is linked with the others; tests give a transport that misbehaves."""
    return BackupsDatastore(target, transport)


class BackupsDatastore:
    """Ping the place itself; the facts of the sets are read by queries, each set at its own pace."""

    def __init__(self, target: BackupsTarget, transport: httpx.AsyncBaseTransport | None) -> None:
        self._place = open_place(target, transport)
        self._places = {_place_of(OriginalSet(target, target.sets[0])): self._place}
        originals = {name: self._opened(original) for name, original in target.originals.items()}
        self._reader = SetsReader(target, self._place, FORMATS, originals)
        self._states: States = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for place in self._places.values():
            await place.close()

    def _opened(self, original: Original) -> OpenedPlace:
        """Open the place of an original; several sets share one, and a set of this place shares this one."""
        key = _place_of(original)
        if key not in self._places:
            self._places[key] = open_original(original)
        return self._places[key]

    @property
    def clock_skew(self) -> float | None:
        return self._place.clock_skew

    async def ping(self) -> ServerInfo:
        return await self._place.ping()

    async def databases(self) -> Sequence[str]:
        return ()

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator["BackupsSession"]:  # noqa: ARG002 - no held connection
        yield BackupsSession(self._place, self._reader, self._states)

    def reason(self, error: BaseException) -> Reason:
        return http_reason(error) or "decode"


def _place_of(original: Original) -> tuple[str, str]:
    """Return what is the same for originals that lie in one place."""
    if isinstance(original, OriginalSet):
        return ("", original.place.name)
    return (original.server.name, original.bucket)


class BackupsSession:
    """One pass: the sets are looked at once."""

    def __init__(self, place: OpenedPlace, reader: SetsReader, states: States) -> None:
        self._place = place
        self._reader = reader
        self._states = states
        self._pages = PassCache()

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        return await run_operation(OPERATIONS, self._states, self, query, database)

    async def read(self, page: str) -> Any:
        return await self._pages.get(page, self._place.disk if page == "disk" else self._reader.read)

    async def make_rows(self, make: Callable[..., _T], *arguments: Any) -> _T:
        return await off_loop(sum(map(_size_of, arguments)), make, *arguments)


def _size_of(page: object) -> int:
    """Return about how many bytes a page takes; a period that is kept costs about as much time as a backup."""
    sets = [one for one in page if isinstance(one, ObservedSet)] if isinstance(page, list | tuple) else []
    periods = sum(count for one in sets if one.policy.keep for count in one.policy.keep.tiers.values())
    return _BACKUP_BYTES * (periods + sum(len(one.facts.backups) for one in sets))
