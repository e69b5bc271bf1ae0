"""What there is of a set, put in order: the good backups, and those that are rejected, under its policy too."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from exporter.config.backup_policy import Size
from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.clock import AHEAD_SECONDS, clock_problem

_EARLIEST = 946_684_800.0  # 2000: what is older comes from a clock that was never set
_RECENT = 14  # backups that a size is compared with


class Rejected(NamedTuple):
    """A backup that is not good, and why."""

    backup: Backup
    problem: Problem


@dataclass(frozen=True, slots=True)
class Inventory:
    """The backups there are. good: the oldest first. rejected: the newest first. bytes: of all.

    being_written: how many are neither good nor bad yet.
    """

    good: Sequence[Backup] = ()
    rejected: Sequence[Rejected] = ()
    bytes: float = 0.0
    being_written: int = 0

    @property
    def newest(self) -> Backup | None:
        return self.good[-1] if self.good else None

    @property
    def oldest(self) -> Backup | None:
        return self.good[0] if self.good else None

    @property
    def newest_rejected(self) -> Rejected | None:
        """Return the newest backup if that is not a good one."""
        last = self.rejected[0] if self.rejected else None
        newest = self.newest
        return last if last is not None and (newest is None or last.backup.time >= newest.time) else None

    @property
    def median_bytes(self) -> float | None:
        """Return the median size of the last good backups."""
        return median(backup.bytes for backup in self.good[-_RECENT:]) if self.good else None


def inventory(backups: Sequence[Backup], size: Size, now: float) -> Inventory:
    """Put backups in order; those of a size, or of a time, that cannot be are not good."""
    good, rejected = list[Backup](), list[Rejected]()
    for backup in backups:
        if backup.being_written:
            continue
        problem = backup.problem or _problem(backup, size, now)
        if problem is None:
            good.append(backup)
        elif backup.time <= now + AHEAD_SECONDS:
            rejected.append(Rejected(backup, problem))
        else:  # its time says nothing, also not whether it is the newest: somebody has to look
            rejected.append(Rejected(replace(backup, time=now), problem))
    good.sort(key=lambda backup: backup.time)
    rejected.sort(key=lambda one: one.backup.time, reverse=True)
    written = sum(backup.being_written for backup in backups)
    return Inventory(good, rejected, sum(backup.bytes for backup in backups), written)


def _problem(backup: Backup, size: Size, now: float) -> Problem | None:
    if (problem := clock_problem(backup.time, now)) is not None:
        return problem
    if backup.time < _EARLIEST:
        return Problem("clock", "its time lies before 2000")
    if size.min is not None and backup.bytes < size.min:
        return Problem("too_small", f"{backup.bytes:.0f} bytes, expected {size.min:.0f} at least")
    if size.max is not None and backup.bytes > size.max:
        return Problem("too_large", f"{backup.bytes:.0f} bytes, expected {size.max:.0f} at most")
    return None
