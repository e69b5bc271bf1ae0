"""Snapshots: what Qdrant lists of each collection and of the whole storage, as facts and as sets under a policy."""

import asyncio
import hashlib
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import NamedTuple

from exporter.config.stores.qdrant import SnapshotPolicy
from exporter.datastores.backup_sets import rows
from exporter.datastores.backup_sets.backup import Backup, Problem, SetFacts
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.datastores.json_text import Json, number, objects, timestamp
from exporter.datastores.qdrant.collections import Collection, collections_of
from exporter.datastores.qdrant.expensive_rows import each
from exporter.datastores.qdrant.session import OperationSession, collection_path
from exporter.errors import QueryError
from exporter.logs import visible
from exporter.queries.query import Row
from exporter.units import span

STORAGE = "storage_snapshot"

_TIME_IN_NAME = re.compile(r"-(\d{4}-\d\d-\d\d)-(\d\d)-(\d\d)-(\d\d)\.snapshot$")
_MOST = 200  # collections under a policy, and the storage: a check each, and a query has no more
_PAGE_SECONDS = 5.0
_PASS_SECONDS = 45.0
_LONGEST = 180  # characters of a name

Read = Callable[[str], Awaitable[object]]


class ObservedSnapshots(NamedTuple):
    """The sets under the policy; new: of those that are new and still empty, the seconds until one is expected."""

    sets: Sequence[ObservedSet]
    new: Mapping[str, float]


class SnapshotSets:
    """The snapshots that a policy expects of one peer, with what is remembered of them between two passes."""

    def __init__(self, of: str, policy: SnapshotPolicy) -> None:
        self._of = of
        self._policy = policy
        self._facts: dict[str, SetFacts] = {}
        self._since: dict[str, float] = {}  # when a collection was first seen; 0 where it was there before
        self._knows_all = False

    async def observe(self, read: Read, collections: Iterable[Collection]) -> ObservedSnapshots:
        """Read the list of each collection that has shards here; of one that cannot be read, say why."""
        paths = self._paths([collection.name for collection in collections if collection.local])
        now, until = time.time(), time.monotonic() + _PASS_SECONDS
        self._since = {check: self._since.get(check, now if self._knows_all else 0.0) for check in paths}
        self._knows_all = True
        self._facts = {check: await self._look(check, path, read, until) for check, path in paths.items()}
        sets = [
            ObservedSet(check, self._of, "qdrant", self._policy, facts, now) for check, facts in self._facts.items()
        ]
        empty = [one.check for one in sets if not one.facts.backups and one.facts.error is None]
        left = {check: self._since[check] + self._policy.warn_seconds - now for check in empty}
        return ObservedSnapshots(sets, {check: seconds for check, seconds in left.items() if seconds > 0})

    def _paths(self, names: Sequence[str]) -> dict[str, str]:
        wanted = [name for name in names if is_covered(self._policy, name)]
        storage = {STORAGE: "/snapshots"} if expects_storage(self._policy) else {}
        if len(wanted) + len(storage) > _MOST:
            raise QueryError("limit", f"`snapshots` names more than {_MOST} collections, a check each: name fewer")
        return {_check(name): collection_path(name, "snapshots") for name in sorted(wanted)} | storage

    async def _look(self, check: str, path: str, read: Read, until: float) -> SetFacts:
        before = self._facts.get(check, SetFacts())
        try:
            async with asyncio.timeout(max(0.0, min(_PAGE_SECONDS, until - time.monotonic()))):
                page = await read(path)
        except TimeoutError:
            return before.after(QueryError("timeout", "the list of snapshots was not answered in time"))
        except QueryError as error:
            return before.after(error)
        return SetFacts(time.time(), tuple(map(_backup, objects(page))))


async def observe(session: OperationSession, sets: SnapshotSets | None, read: Read) -> ObservedSnapshots:
    """Return the page of the sets under the target's policy; without one there are none.

    read: returns the page of a path; raises QueryError, and nothing else, when that fails.
    """
    if sets is None:
        return ObservedSnapshots((), {})
    return await sets.observe(read, await session.make_rows(collections_of, await session.read("telemetry")))


def is_covered(policy: SnapshotPolicy | None, name: str) -> bool:
    """Return whether a policy expects snapshots of a collection."""
    return policy is not None and any(fnmatchcase(name, glob) for glob in policy.collections)


def expects_storage(policy: SnapshotPolicy | None) -> bool:
    """Return whether a policy names the snapshots of the whole storage, which no glob with a wildcard does."""
    return policy is not None and STORAGE in policy.collections


def set_rows(observed: ObservedSnapshots) -> Sequence[Row]:
    """Return a row for each set; of a new collection no snapshot is expected yet."""
    return [_not_yet(row, observed.new) for row in rows.set_rows(observed.sets)]


def rejected_rows(observed: ObservedSnapshots) -> Sequence[Row]:
    return rows.rejected_rows(observed.sets)


def retention_rows(observed: ObservedSnapshots) -> Sequence[Row]:
    return rows.retention_rows(observed.sets)


def format_rows(observed: ObservedSnapshots) -> Sequence[Row]:
    return rows.format_rows(observed.sets)


async def fact_rows(session: OperationSession, names: Iterable[str]) -> list[Row]:
    """Return what there is of collections, and of the whole storage, that no policy covers."""
    policy = session.target.snapshots
    paths = {f"snapshot:{name}": collection_path(name, "snapshots") for name in names if not is_covered(policy, name)}
    storage = {} if expects_storage(policy) else {STORAGE: "/snapshots"}
    pages = await each(session.json, {**paths, **storage})
    return [_fact_row(check, session.target.name, objects(page)) for check, page in pages.items()]


def _fact_row(check: str, of: str, snapshots: Sequence[Json]) -> Row:
    """Return what there is, of a collection without a policy."""
    dated = [(time, s) for s in snapshots if (time := _created(s)) is not None]
    newest, oldest = max(dated, key=itemgetter(0), default=None), min(dated, key=itemgetter(0), default=None)
    return {
        "check": check,
        "of": of,
        "snapshots": float(len(snapshots)),
        "newest": newest and newest[0],
        "newest_bytes": newest and number(newest[1], "size"),
        "oldest": oldest and oldest[0],
    }


def _not_yet(row: Row, new: Mapping[str, float]) -> Row:
    seconds = new.get(str(row["check"]))
    if seconds is None:
        return row
    return {**row, "expected": 0.0, "status": "pass", "findings": (f"a new collection: expected in {span(seconds)}",)}


def _check(name: str) -> str:
    """Return the name of a collection's check, which is bounded."""
    shown = visible(name)
    if len(shown) > _LONGEST:
        shown = f"{shown[: _LONGEST - 9]}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:8]}"
    return f"snapshot:{shown}"


def _backup(snapshot: Json) -> Backup:
    name = visible(str(snapshot.get("name"))[:_LONGEST])
    created, size = _created(snapshot), number(snapshot, "size")
    problem = None
    if created is None or size is None or not math.isfinite(size):
        problem = Problem("unreadable", f"the server does not tell its {'time' if created is None else 'size'}")
    elif size <= 0:
        problem = Problem("empty", "0 bytes")
    return Backup(name, created or 0.0, 0.0 if problem or size is None else size, problem)


def _created(snapshot: Json) -> float | None:
    """Return when it was made, from its name where the file system keeps no birth time."""
    created = timestamp(snapshot.get("creation_time"))
    if created is None and (match := _TIME_IN_NAME.search(str(snapshot.get("name")))):
        created = timestamp(f"{match[1]}T{match[2]}:{match[3]}:{match[4]}")
    return created
