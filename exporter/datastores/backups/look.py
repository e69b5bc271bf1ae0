"""One look at a set: what a format gets, what it returns, and what is kept for the next look."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Backup, Copy, Problem, WalArchive
from exporter.datastores.backup_sets.clock import AHEAD_SECONDS
from exporter.datastores.backups.places.place import Entry, Place

QUIET_SECONDS = 120.0  # after its last modification a file is no longer being written


class Verdict(NamedTuple):
    """What the head and tail of a file told: its problem, or None, and the time in its header, where it has one.

    whole: its end is certain, so nothing more is being written, however young it is. refused: the exporter may not read
    it, so it is tried again at each look.
    """

    problem: Problem | None = None
    time: float | None = None
    whole: bool = False
    refused: bool = False


class VerdictKey(NamedTuple):
    """Of a file: it is not read again while its name, size and time of modification are the same."""

    name: str
    bytes: int
    modified: float


@dataclass(slots=True)
class Listing:
    """How far a listing has come: the last name, how many names were seen, and what of them belongs to the set."""

    after: str = ""
    seen: int = 0
    entries: list[Entry] = field(default_factory=list)
    folders: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """What a set keeps between looks. `progress` belongs to the format, `listings` to listing.py, by their globs.

    A look may be cancelled at any await: what is in here must be right at each.
    """

    verdicts: dict[VerdictKey, Verdict] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    progress: object = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a format reads, and how.

    bases: the good backups of the set that `base` names, the oldest first; None where none is named.
    zone: of times without one, None for the exporter's. now: Unix time. until: on the monotonic clock; then a listing
    stops, to go on at the next look.
    """

    place: Place
    chosen: BackupSet
    memory: Memory
    now: float
    until: float
    zone: ZoneInfo | None = None
    bases: Sequence[Backup] | None = None

    def may_grow(self, modified: float) -> bool:
        """Return whether a file is so young that it may still be being written; none is where only whole ones show."""
        return not self.place.shows_whole and -AHEAD_SECONDS < self.now - modified < QUIET_SECONDS


class Found(NamedTuple):
    """What a format found; the archive for format wal alone, the comparison for the mirror of a bucket alone."""

    backups: Sequence[Backup] = ()
    wal: WalArchive | None = None
    copy: Copy | None = None


class UnfinishedError(Exception):
    """The look's time is over before everything was listed; the next look goes on, and the facts stay meanwhile."""


class Format(Protocol):
    """Read a set. Raises QueryError where the place fails, UnfinishedError, and nothing else."""

    async def __call__(self, look: Look) -> Found: ...
