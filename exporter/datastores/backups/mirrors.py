"""Compare two folders or buckets name by name, in one walk through both listings that needs no memory."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.datastores.backup_sets.backup import Backup, Copy
from exporter.datastores.backup_sets.findings import shown
from exporter.datastores.backups.look import Found, Look, UnfinishedError
from exporter.datastores.backups.places.place import MOST_ENTRIES, Entry, Place
from exporter.errors import QueryError
from exporter.logs import visible

_PAGE = 2_000
_STEPS = 500  # compared before other tasks get their turn
_SKEW_SECONDS = 900.0  # by which clocks of servers may differ before we believe that a copy is older than its original
MOST_FINDINGS = 5


class Side(NamedTuple):
    """One of the two: where it lies, and how its names begin. `name` is for messages."""

    place: Place
    prefix: str
    name: str


class Expected(NamedTuple):
    """Which of the original's must have a copy: those that are older than `grace` and younger than `reach`, in seconds.

    reach: None of those of any age.
    """

    grace: float
    reach: float | None = None


@dataclass(slots=True)
class Walk:
    """How far two listings are compared, and what was found up to there; times are Unix time.

    It changes between two awaits only: a walk that is cancelled goes on from its last name.
    began: when. after: the last name, below the prefixes, that was compared. originals, copies: entries up to there.
    oldest_lacking: when the oldest was modified that has no copy or an old one, however young it is.
    """

    began: float
    after: str = ""
    originals: int = 0
    copies: int = 0
    bytes: int = 0  # of the copies
    missing: int = 0
    differing: int = 0
    oldest_lacking: float | None = None
    findings: list[str] = field(default_factory=list)

    @property
    def copy(self) -> Copy:
        behind = 0.0 if self.oldest_lacking is None else max(0.0, self.began - self.oldest_lacking)
        unnamed = self.missing + self.differing - len(self.findings)
        more = (f"and {unnamed} more are missing or differ",) if unnamed > 0 else ()
        return Copy(self.missing, behind, self.differing, (*self.findings, *more))


async def mirror(look: Look, original: Side, grace: float) -> Found:
    """Read a set that is the mirror of a bucket: it is one backup, of the moment up to which nothing is missing."""
    files = look.chosen.files
    copy = Side(look.place, "" if files == "**" else files, files)
    walk = await compare(look, original, copy, Expected(grace))
    moment = walk.began if walk.oldest_lacking is None else walk.oldest_lacking
    backups = [Backup(look.chosen.files, moment, walk.bytes)] if walk.copies or not walk.originals else []
    return Found(backups, copy=walk.copy)


async def compare(look: Look, original: Side, copy: Side, expected: Expected) -> Walk:
    """Walk through both listings; raise UnfinishedError when the look's time is over, to go on from there."""
    walk = look.memory.progress if isinstance(look.memory.progress, Walk) else Walk(look.now)
    look.memory.progress = walk
    originals = _Listing(original, walk.after, walk.originals)
    copies = _Listing(copy, walk.after, walk.copies)
    while True:
        with of_original(original.name):
            await originals.fill()
        await copies.fill()
        if not originals.waiting and not copies.waiting:
            look.memory.progress = None
            return walk
        _step(walk, originals, copies, expected)
        await asyncio.sleep(0)
        if time.monotonic() >= look.until:
            raise UnfinishedError


@contextmanager
def of_original(name: str) -> Iterator[None]:
    """Say of an error that it is the original's: the copy may be as good as ever."""
    try:
        yield
    except QueryError as error:
        raise QueryError(error.reason, f"the original {name} cannot be read: {error.shown}") from None


@dataclass(slots=True)
class _Listing:
    """A listing that is read page by page: `waiting` are the entries that were not compared yet, the next one last."""

    side: Side
    after: str
    read: int
    more: bool = True
    waiting: list[Entry] = field(default_factory=list)

    @property
    def next(self) -> Entry | None:
        return self.waiting[-1] if self.waiting else None

    async def fill(self) -> None:
        while self.more and not self.waiting:
            await self._read_page()

    async def _read_page(self) -> None:
        place, prefix, name = self.side
        page = await place.list(prefix, deep=True, after=prefix + self.after if self.after else "", most=_PAGE)
        names = [entry.name for entry in page.entries]
        goes_on = not names or not self.after or names[0] > prefix + self.after
        if names != sorted(set(names)) or not goes_on or (page.more and not names):
            raise QueryError("decode", f"the listing of {visible(name)} is not in order of names")
        self.read += len(names)
        if self.read > MOST_ENTRIES:
            raise QueryError("limit", f"more than {MOST_ENTRIES:,} files in {visible(name)}: too many to compare")
        self.more = page.more
        self.after = names[-1][len(prefix) :] if names else self.after
        files = [
            entry for entry in page.entries if entry.bytes or not entry.name.endswith("/")
        ]  # not a folder's marker
        self.waiting = [entry._replace(name=entry.name[len(prefix) :]) for entry in reversed(files)]


def _step(walk: Walk, originals: _Listing, copies: _Listing, expected: Expected) -> None:
    """Compare what both listings have at hand, in order of names, until one of them must be read on."""
    for _ in range(_STEPS):
        wanted, there = originals.next, copies.next
        if (wanted is None and (originals.more or there is None)) or (there is None and copies.more):
            return
        name = min(entry.name for entry in (wanted, there) if entry is not None)
        if there is not None and there.name == name:
            copies.waiting.pop()
            walk.copies += 1
            walk.bytes += there.bytes
        if wanted is not None and wanted.name == name:
            originals.waiting.pop()
            walk.originals += 1
            _compare(walk, wanted, there if there is not None and there.name == name else None, expected)
        walk.after = name


def _compare(walk: Walk, wanted: Entry, there: Entry | None, expected: Expected) -> None:
    age = walk.began - wanted.modified
    lack = _lack(wanted, there)
    if lack is None or (expected.reach is not None and age > expected.reach):
        return
    walk.oldest_lacking = min(wanted.modified, wanted.modified if walk.oldest_lacking is None else walk.oldest_lacking)
    if age <= expected.grace:
        return
    walk.missing += there is None
    walk.differing += there is not None
    if len(walk.findings) < MOST_FINDINGS:
        walk.findings.append(lack)


def _lack(wanted: Entry, there: Entry | None) -> str | None:
    if there is None:
        return f"missing: {shown(wanted.name)}"
    if there.bytes != wanted.bytes:
        return f"differs: {shown(wanted.name)} has {there.bytes} of {wanted.bytes} bytes"
    older = there.modified < wanted.modified - _SKEW_SECONDS
    return f"differs: {shown(wanted.name)} is older than its original" if older else None
