"""The files of a set, listed page by page and, where one look is too short for that, in several looks."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from exporter.datastores.backups.look import Listing, Look, UnfinishedError
from exporter.datastores.backups.places.place import MOST_ENTRIES, Entry, Page, too_many
from exporter.datastores.backups.selection import Selection, folders
from exporter.datastores.off_loop import in_thread
from exporter.errors import QueryError

_SMALL = 1_000  # entries that are picked over on the event loop


class Listed(NamedTuple):
    """What belongs to a set: files, and the folders that the glob itself chooses, each with a slash at its end."""

    entries: Sequence[Entry]
    folders: Sequence[str]


async def listed(look: Look, selection: Selection | None = None, *, most: int = MOST_ENTRIES) -> Listed:
    """List what the set's `files`, or another selection, choose.

    Raises UnfinishedError when the look's time is over: the same listing goes on at the next look, and begins anew once
    it was complete. Raises QueryError `limit` above `most` entries, also of those that do not belong to the set.
    """
    chosen = selection or Selection(look.chosen.files)
    progress = look.memory.listings.setdefault(chosen.files, Listing())
    try:
        await _go_on(look, chosen, progress, most)
    except QueryError as error:
        if error.reason in {"limit", "decode"}:
            del look.memory.listings[chosen.files]
        raise
    del look.memory.listings[chosen.files]
    return Listed(progress.entries, tuple(progress.folders))


async def _go_on(look: Look, selection: Selection, progress: Listing, most: int) -> None:
    while True:
        page = await look.place.list(selection.prefix, deep=selection.deep, after=progress.after)
        found = await in_thread(_chosen, selection, page) if len(page.entries) > _SMALL else _chosen(selection, page)
        progress.seen += len(page.entries) + len(page.folders)
        progress.entries += found.entries
        progress.folders |= dict.fromkeys(found.folders)
        if progress.seen > most:
            raise too_many(most)
        if not page.more:
            return
        progress.after = _last(page, progress.after)
        if time.monotonic() >= look.until:
            raise UnfinishedError


def _chosen(selection: Selection, page: Page) -> Listed:
    found = dict.fromkeys(filter(selection.chooses, page.folders))
    if selection.deep:
        around = dict.fromkeys(folder for entry in page.entries for folder in folders(entry.name))
        found |= dict.fromkeys(filter(selection.chooses, around))
    return Listed([entry for entry in page.entries if selection.matches(entry.name)], tuple(found))


def _last(page: Page, after: str) -> str:
    names = [entry.name for entry in page.entries[-1:]] + list(page.folders[-1:])
    last = max(names, key=lambda name: name.encode("utf-8", "surrogatepass"), default="")
    if last in {"", after}:
        raise QueryError("decode", "the listing does not get on: a page repeats the one before")
    return last
