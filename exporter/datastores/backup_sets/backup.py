"""The types of what was found of a set of backups."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from exporter.errors import QueryError, Reason

_NOT_REACHED: tuple[Reason, ...] = ("connect", "timeout", "auth")

Rejection = Literal[
    "empty", "too_small", "too_large", "truncated", "format", "unencrypted", "checksum", "broken_chain", "unreadable",
    "clock", "failed",
]  # fmt: skip


class Problem(NamedTuple):
    """Why a backup is not good; `detail` goes on after its name, as in "data at 4401254 of 2418378 bytes"."""

    reason: Rejection
    detail: str


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup.

    name: for findings. time: when it was made, as Unix time. bytes: as it is stored. seconds: how long it took, where
    that is known. being_written: neither good nor bad yet. start_segment: the name of the first segment of WAL that its
    restore needs, after the name of its archive and a slash where the tool names archives; empty where it needs none,
    and where that is not known.
    """

    name: str
    time: float
    bytes: float
    problem: Problem | None = None
    seconds: float | None = None
    being_written: bool = False
    start_segment: str = ""

    @property
    def good(self) -> bool:
        return self.problem is None and not self.being_written


@dataclass(frozen=True, slots=True)
class WalArchive:
    """An archive of WAL: how many segments there are and are missing, and the times between which one can recover.

    missing: the names of the first missing segments. recoverable_from, recoverable_until: Unix time, None where no base
    backup makes the archive of use.
    """

    segments: int
    bytes: float
    gaps: int
    missing: tuple[str, ...] = ()
    recoverable_from: float | None = None
    recoverable_until: float | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A set compared with its original.

    missing: how many of the original's there are not here; None where the original could not be read. behind: seconds
    from the newest copied one to the original's newest, of a mirror the age of the oldest object that is missing; None
    where that is not known. differing: how many are not as large. findings: what is missing, differs, or was not read.
    """

    missing: int | None
    behind: float | None
    differing: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetFacts:
    """What was found of one set at one look.

    observed_at: when its place was last read, as Unix time; None before the first look ended.
    error: why the last look failed. The rest is then of the look before.
    known: whether there is such a rest; where it may be wrong by now, it was dropped.
    """

    observed_at: float | None = None
    backups: Sequence[Backup] = ()
    wal: WalArchive | None = None
    copy: Copy | None = None
    error: QueryError | None = None
    known: bool = True

    def after(self, error: QueryError) -> "SetFacts":
        """Return what is known after a look that failed: as before if the place was not reached, else nothing."""
        if error.reason in _NOT_REACHED:
            return replace(self, error=error)
        return SetFacts(self.observed_at, error=error, known=False)
