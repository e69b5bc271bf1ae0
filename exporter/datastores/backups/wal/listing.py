"""The listing of an archive of WAL, which is listed anew in parts where it is large."""

import time
from dataclasses import dataclass, field

from exporter.datastores.backups.look import Look, UnfinishedError
from exporter.datastores.backups.places.place import MOST_ENTRIES, Entry, too_many
from exporter.datastores.backups.selection import Selection
from exporter.datastores.backups.wal.names import Switch
from exporter.datastores.backups.wal.segments import Stretch, stretch
from exporter.datastores.off_loop import off_loop

SMALL = 5_000  # files: so many are listed at every look
_STRETCH = 1_000  # files: what a bucket lists at once
_PAGE = 10_000
_AT_A_LOOK = 3  # stretches
_NAME_BYTES = 128


@dataclass(slots=True)
class Progress:
    """What is known of an archive between looks.

    stretches: together they are the whole listing; the last one has no end. listed: whether they reach it. turn: up to
    which name those were listed again that are listed in turn. lost: base backups whose first segment is not there, and
    since when. histories: those read, by name of the file.
    """

    stretches: list[Stretch] = field(default_factory=list)
    listed: bool = False
    turn: str = ""
    lost: dict[str, float] = field(default_factory=dict)
    histories: dict[str, list[Switch]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(one.files for one in self.stretches)


async def list_archive(look: Look, progress: Progress, selection: Selection) -> None:
    """Bring the stretches up to date.

    A small archive is listed whole. Of a large one those stretches are listed again in which new segments appear, and
    others in turn: of 100,000 files each is seen again within 100 looks.
    """
    if progress.listed and progress.count > SMALL:
        await _list_parts(look, progress, selection)
    else:
        if progress.listed:
            progress.stretches, progress.listed = [], False
        await _list_rest(look, progress, selection)
    if progress.count > MOST_ENTRIES:
        raise too_many()


async def _list_rest(look: Look, progress: Progress, selection: Selection) -> None:
    """List on from where the last look ended; what was listed stays when the time is over."""
    while True:
        after = progress.stretches[-1].last if progress.stretches else ""
        entries, more = await _page(look, selection, after, _PAGE)
        progress.stretches += await _cut(entries, selection)
        if not more or not entries:
            progress.listed = True
            return
        if progress.count > MOST_ENTRIES:
            progress.stretches, progress.turn = [], ""
            raise too_many()


async def _list_parts(look: Look, progress: Progress, selection: Selection) -> None:
    chosen = _chosen(progress)
    for number in sorted(chosen, reverse=True):  # a stretch may become several, or none: those before it stay in place
        after = progress.stretches[number - 1].last if number else ""
        last = None if number == len(progress.stretches) - 1 else progress.stretches[number].last
        entries = await _between(look, selection, after, last)
        progress.stretches[number : number + 1] = await _cut(entries, selection)


def _chosen(progress: Progress) -> set[int]:
    """Choose the stretch with the newest file and its neighbour, where the next one appears; then others in turn."""
    stretches = progress.stretches
    newest = max(
        range(len(stretches)), key=lambda one: max((part.newest for part in stretches[one].parts.values()), default=0)
    )
    chosen = {newest, newest + 1 if newest + 1 < len(stretches) else newest - 1}
    ahead = [number for number, one in enumerate(stretches) if one.last > progress.turn]
    in_turn = [*ahead, *range(len(stretches) - len(ahead))]
    for number in in_turn:
        if len(chosen) >= _AT_A_LOOK:
            break
        chosen.add(number)
        progress.turn = stretches[number].last
    return {number for number in chosen if number >= 0}


async def _between(look: Look, selection: Selection, after: str, last: str | None) -> list[Entry]:
    found: list[Entry] = []
    for _ in range(MOST_ENTRIES // _STRETCH):
        entries, more = await _page(look, selection, after, _STRETCH)
        found += [entry for entry in entries if last is None or entry.name <= last]
        if not more or not entries or (last is not None and entries[-1].name >= last):
            return found
        after = entries[-1].name
    raise too_many()


async def _page(look: Look, selection: Selection, after: str, most: int) -> tuple[list[Entry], bool]:
    if time.monotonic() >= look.until:
        raise UnfinishedError
    page = await look.place.list(selection.prefix, deep=True, after=after, most=most)
    return list(page.entries), page.more


async def _cut(entries: list[Entry], selection: Selection) -> list[Stretch]:
    return await off_loop(len(entries) * _NAME_BYTES, _stretches, entries, selection)


def _stretches(entries: list[Entry], selection: Selection) -> list[Stretch]:
    whole = selection.prefix == selection.files
    parts = (entries[begin : begin + _STRETCH] for begin in range(0, len(entries), _STRETCH))
    return [stretch(part, part[-1].name, selection.matches if not whole else bool) for part in parts]
