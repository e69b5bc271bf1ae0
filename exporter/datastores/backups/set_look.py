"""Looks at one set: each within a deadline; whatever goes wrong is this set's failure and no other's."""

import asyncio
import math
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from exporter.config.backup_policy import BackupSet
from exporter.config.stores.backups import BackupsTarget
from exporter.datastores.backup_sets.backup import Backup, Copy, SetFacts
from exporter.datastores.backups.look import Format, Found, Look, Memory, UnfinishedError
from exporter.datastores.backups.places.place import GoneError, Place
from exporter.errors import QueryError, Reason, forget_frames, no_thread
from exporter.logs import visible

LOOK_SECONDS = 20.0
LIST_SECONDS = 15.0  # of these; then a listing stops, to go on at the next look
SHORTEST_PACE, LONGEST_PACE = 60.0, 300.0
EARLY = 6.0  # passes come at ticks: one that begins a little early must not wait for the next
_MESSAGE = 500  # characters of an error that nobody foresaw

_T = TypeVar("_T")
_log = structlog.get_logger("exporter.backups")


class SetLook:
    """What is kept of one set: its facts, when it was last looked at, and what its format remembers.

    A look that ends before everything is listed, that fails or is cancelled, leaves facts that belong together, and is
    due again in the next pass.
    """

    def __init__(self, target: BackupsTarget, chosen: BackupSet, read: Format, place: Place, pace: float) -> None:
        self.chosen = chosen
        self.facts = SetFacts()
        self.began = -math.inf
        self.ended_well = False
        self._read = read
        self.place = place
        self._pace = pace
        self._zone = target.zone
        self._marker = chosen.marker or target.marker
        self._named = {"target": target.name, "set": chosen.name}
        self._memory = Memory()

    def due(self, now: float) -> bool:
        return now - self.began >= (self._pace if self.ended_well else SHORTEST_PACE) - EARLY

    async def look(self, bases: Sequence[Backup] | None = None) -> None:
        """Look at the set, and replace its facts."""
        self.began, self.ended_well, now = time.monotonic(), False, time.time()
        look = Look(self.place, self.chosen, self._memory, now, self.began + LIST_SECONDS, self._zone, bases)
        try:
            found = await bounded(self._look(look), LOOK_SECONDS)
        except UnfinishedError:
            return
        except QueryError as error:
            self.fail(error)
            return
        self.ended_well = True
        self._log_failure(None)
        self.facts = SetFacts(now, tuple(found.backups), found.wal, found.copy or self.facts.copy)

    def take_copy(self, copy: Copy) -> None:
        """Take what the comparison with the original found; where the set cannot be read by now, it says nothing."""
        if self.facts.error is None:
            self.facts = replace(self.facts, copy=copy)

    def fail(self, error: QueryError) -> None:
        """Keep the facts where the place was not reached; drop them where they may be wrong by now."""
        self._log_failure(error)
        if error.__cause__ is not None:  # nobody foresaw it: what the format remembers may be the reason
            self._memory = Memory()
        self.facts = self.facts.after(error)

    async def _look(self, look: Look) -> Found:
        """Read the set between two looks at the marker: it may be mounted, or no longer be, in the meantime."""
        await demand_marker(self._marker, self.place)
        found = await self._read(look)
        await demand_marker(self._marker, self.place)
        return found

    def _log_failure(self, error: QueryError | None) -> None:
        """Log a change; the error may name files, so the log shows it to who debugs only."""
        before, now = self.facts.error and self.facts.error.reason, error and error.reason
        if before != now and error is not None:
            _log.warning("set of backups cannot be read", reason=now, **self._named)
            _log.debug("set of backups cannot be read", error=str(error), **self._named)
        elif before != now:
            _log.info("set of backups can be read again", **self._named)


async def demand_marker(marker: str | None, place: Place) -> None:
    """Raise QueryError where a place does not have the file that shows that it is mounted."""
    if marker is None:
        return
    try:
        await place.read(marker, 0, 1)
    except GoneError:
        raise QueryError("connect", f"the marker {visible(marker)} is not there: is it mounted?") from None


def pace_of(every: float) -> float:
    """Return the seconds between two looks at a set whose backups come so often."""
    return min(max(every / 60, SHORTEST_PACE), LONGEST_PACE)


async def bounded(work: Coroutine[Any, Any, _T], seconds: float) -> _T:
    """Await a look's work within a deadline; raise QueryError or UnfinishedError, and nothing else.

    A format reads what others wrote: what it did not expect is `decode`, for one set alone.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except (QueryError, UnfinishedError) as error:
        forget_frames(error)
        raise
    except TimeoutError:
        raise QueryError("timeout", f"the place did not answer within {seconds:g} s") from None
    except GoneError:
        raise QueryError("connect", "files vanished while they were read") from None
    except Exception as error:  # one set must not take the others down
        reason: Reason = "connect" if isinstance(error, OSError | MemoryError) or no_thread(error) else "decode"
        forget_frames(error)
        raise QueryError(reason, visible(f"{type(error).__name__}: {error}"[:_MESSAGE])) from error
