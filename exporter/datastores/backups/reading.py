"""The page of a place: the facts of its sets, of which those are looked at anew that are due."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from exporter.config.stores.backups import BackupsTarget, OriginalBucket, OriginalSet
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.datastores.backups.copies import PACE_SECONDS, CopyLook
from exporter.datastores.backups.look import Format, Found, Look
from exporter.datastores.backups.mirrors import Side, mirror
from exporter.datastores.backups.places.place import Place
from exporter.datastores.backups.set_look import SHORTEST_PACE, SetLook, pace_of
from exporter.errors import QueryError

# After these no look begins: with the last one's deadline a pass ends well within the minute that its queries have.
_PASS_SECONDS = 25.0
_AT_ONCE = 2


class SetsReader:
    """The sets of one place. Each has its own pace, memory and failure; the one looked at longest ago comes first.

    place: where they lie. originals: the places, by name of a set, of what it is a copy of. formats: by their names.
    The caller opens and closes the places.
    """

    def __init__(
        self,
        target: BackupsTarget,
        place: Place,
        formats: Mapping[str, Format],
        originals: Mapping[str, Place] = MappingProxyType({}),
    ) -> None:
        self._sets: dict[str, SetLook] = {}
        self._zone = target.zone
        self._copies: list[CopyLook] = []
        for chosen in target.sets:
            original, read, pace = target.originals.get(chosen.name), formats[chosen.format], pace_of(chosen.every)
            if isinstance(original, OriginalBucket):
                read = partial(_mirror, Side(originals[chosen.name], "", str(chosen.copy_of)))
                pace = min(max(chosen.every / 4, SHORTEST_PACE), PACE_SECONDS)
            one = SetLook(target, chosen, read, place, pace)
            if isinstance(original, OriginalSet):
                copy = CopyLook(one, original, formats[original.chosen.format], originals[chosen.name])
                self._copies.append(copy)
            self._sets[chosen.name] = one
        self._reading = False

    async def read(self) -> Sequence[ObservedSet]:
        """Look at the sets that are due, for as long as a pass may take; return what is known of all.

        While another lane reads, what is known is returned at once.
        """
        if not self._reading:
            self._reading = True
            try:
                await self._look_at_due()
            finally:
                self._reading = False
        now = time.time()
        return [
            ObservedSet(chosen.name, chosen.of, chosen.format, chosen, one.facts, now, self._zone)
            for one in self._sets.values()
            for chosen in (one.chosen,)
        ]

    async def _look_at_due(self) -> None:
        """Look at what is due, then at what became so: what needs a set of which nothing was known before."""
        until = time.monotonic() + _PASS_SECONDS
        for _ in range(2):
            ready = [one for one in self._sets.values() if not self._waits(one)]
            await self._look_at([*ready, *self._copies], until)

    async def _look_at(self, some: Iterable[SetLook | CopyLook], until: float) -> None:
        """Look at those that are due, two at once: one that hangs leaves the others half of the time."""
        now = time.monotonic()
        turns = iter(sorted((one for one in some if one.due(now)), key=lambda one: one.began))

        async def take_turns() -> None:
            for one in turns:
                if time.monotonic() >= until:
                    return
                await (one.look() if isinstance(one, CopyLook) else self._look(one))

        async with asyncio.TaskGroup() as lanes:
            for number in range(_AT_ONCE):
                lanes.create_task(take_turns(), name=f"sets of backups {number}")

    def _waits(self, one: SetLook) -> bool:
        """Return whether nothing is known yet of the base backups that an archive of WAL belongs to."""
        base = self._base(one)
        return base is not None and base.facts.observed_at is None and base.facts.error is None

    def _base(self, one: SetLook) -> SetLook | None:
        return None if one.chosen.base is None else self._sets[one.chosen.base]

    async def _look(self, one: SetLook) -> None:
        base = self._base(one)
        if base is None:
            await one.look()
            return
        error, backups = base.facts.error, base.facts.backups
        if error is not None and (not base.facts.known or base.facts.observed_at is None):
            one.fail(QueryError(error.reason, f"its base {base.chosen.name} cannot be read: {error.shown}"))
            return
        await one.look(sorted((backup for backup in backups if backup.good), key=lambda backup: backup.time))


async def _mirror(original: Side, look: Look) -> Found:
    return await mirror(look, original, look.chosen.warn_seconds)
