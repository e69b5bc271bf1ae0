"""Sets that are copies: whether what their originals have is there, as large as there."""

import math
import time
from collections.abc import Mapping, Sequence

from exporter.config.backup_policy import BackupSet
from exporter.config.stores.backups import OriginalSet
from exporter.datastores.backup_sets.backup import Backup, Copy
from exporter.datastores.backup_sets.findings import shown
from exporter.datastores.backups.look import Format, Look, Memory, UnfinishedError
from exporter.datastores.backups.mirrors import MOST_FINDINGS, Expected, Side, compare, of_original
from exporter.datastores.backups.places.place import Place
from exporter.datastores.backups.selection import Selection
from exporter.datastores.backups.set_look import (
    EARLY,
    LIST_SECONDS,
    LONGEST_PACE,
    LOOK_SECONDS,
    SetLook,
    bounded,
    demand_marker,
)
from exporter.datastores.off_loop import off_loop
from exporter.errors import QueryError

PACE_SECONDS = 900.0
_MOST_BACKUPS = 100
_BACKUP_BYTES = 200  # of a response, which would take as long as one backup
_ENCRYPTED = (".age", ".gpg", ".pgp", ".asc", ".enc")  # what tools that encrypt put at the end of a name


class CopyLook:
    """Compare a set with its original, a set of this or another place; what becomes of it is the copy's facts."""

    def __init__(self, copied: SetLook, original: OriginalSet, read: Format, place: Place) -> None:
        self.began = -math.inf
        self._ended_well = False
        self._copied = copied
        self._original = original.chosen
        self._read = read
        self._place = place
        self._zone = original.place.zone
        self._marker = original.chosen.marker or original.place.marker
        self._memory = Memory()

    def due(self, now: float) -> bool:
        """Return whether it is time, and there is something to compare."""
        known = self._copied.facts.observed_at is not None and self._copied.facts.error is None
        return known and now - self.began >= (PACE_SECONDS if self._ended_well else LONGEST_PACE) - EARLY

    async def look(self) -> None:
        self.began, self._ended_well = time.monotonic(), False
        look = Look(self._place, self._original, self._memory, time.time(), self.began + LIST_SECONDS, self._zone)
        try:
            copy = await bounded(self._compare(look), LOOK_SECONDS)
            self._ended_well = True
        except UnfinishedError:
            self.began = -math.inf
            return
        except QueryError as error:
            copy = Copy(None, None, findings=(f"not compared: {error.reason}: {error.shown}",))
        self._copied.take_copy(copy)

    async def _compare(self, look: Look) -> Copy:
        chosen, original = self._copied.chosen, self._original
        name = chosen.copy_of or ""
        if chosen.format == "wal":
            with of_original(name):
                await demand_marker(self._marker, self._place)
            originals = Side(self._place, Selection(original.files).folder, name)
            copies = Side(self._copied.place, Selection(chosen.files).folder, chosen.files)
            expected = Expected(chosen.warn_seconds, _reach(chosen, original))
            return (await compare(look, originals, copies, expected)).copy
        with of_original(name):
            await demand_marker(self._marker, self._place)
            found = await self._read(look)
            await demand_marker(self._marker, self._place)
        here = self._copied.facts.backups
        cost = (len(found.backups) + len(here)) * _BACKUP_BYTES
        return await off_loop(cost, compared, original, found.backups, chosen, here, look.now)


def compared(
    original: BackupSet, originals: Sequence[Backup], chosen: BackupSet, copies: Sequence[Backup], now: float
) -> Copy:
    """Compare backups by their names below the folders of the sets, and their sizes.

    Those of the original that are good, or that we may not read, count, 100 at most: as far back as the copy's `keep`
    goes, or else the original's, and old enough that it is time for them to be copied.
    """
    newest_first = sorted(filter(_counts, originals), key=lambda one: -one.time)
    reach = _reach(chosen, original)
    if not newest_first:
        return Copy(None, None, findings=("not compared: the original has no good backup",))
    there = _by_name(chosen, copies)
    wanted = {
        _name(original, one): one for one in newest_first[:_MOST_BACKUPS] if reach is None or now - one.time <= reach
    }
    newest_copied = max((one.time for name, one in wanted.items() if name in there), default=None)
    behind = None if newest_copied is None else newest_first[0].time - newest_copied
    due = {name: one for name, one in wanted.items() if now - one.time > chosen.warn_seconds}
    missing = [name for name in due if name not in there]
    larger = chosen.encrypted and not original.encrypted  # encryption makes it larger
    differing = [
        f"differs: {shown(name)} has {there[name].bytes:.0f} of {one.bytes:.0f} bytes"
        for name, one in due.items()
        if name in there
        and not there[name].being_written
        and (there[name].bytes < one.bytes or (there[name].bytes > one.bytes and not larger))
    ]
    return Copy(
        len(missing), behind, len(differing), _findings([f"missing: {shown(name)}" for name in missing], differing)
    )


def _counts(backup: Backup) -> bool:
    return backup.good or (backup.problem is not None and backup.problem.reason == "unreadable")


def _findings(missing: Sequence[str], differing: Sequence[str]) -> tuple[str, ...]:
    """Return the first of each kind, and how many more there are."""
    named = (*missing[:MOST_FINDINGS], *differing[:MOST_FINDINGS])
    more = len(missing) + len(differing) - len(named)
    return (*named, f"and {more} more are missing or differ") if more else named


def _by_name(chosen: BackupSet, backups: Sequence[Backup]) -> Mapping[str, Backup]:
    """Return backups by their names below the folder; that of an encrypted one also without what the tool added."""
    found = {_name(chosen, one): one for one in backups}
    if not chosen.encrypted:
        return found
    plain = {name[: -len(end)]: one for name, one in found.items() for end in _ENCRYPTED if name.endswith(end)}
    return {**plain, **found}


def _name(chosen: BackupSet, backup: Backup) -> str:
    return backup.name.removeprefix(Selection(chosen.files).folder).rstrip("/")


def _reach(chosen: BackupSet, original: BackupSet) -> float | None:
    """Return how old backups become that must have a copy, in seconds; None where neither set says so."""
    keep = chosen.keep or original.keep
    return None if keep is None else keep.oldest_seconds
