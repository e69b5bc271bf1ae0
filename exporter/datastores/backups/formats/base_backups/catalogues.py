"""What tools write down of their backups, read within bounds; and what is common to sets that are folders of a tool."""

import re
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from glob import escape
from typing import Any, NamedTuple

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.listing import listed
from exporter.datastores.backups.look import Look, UnfinishedError
from exporter.datastores.backups.places.place import Entry, GoneError, Place
from exporter.datastores.backups.selection import Selection
from exporter.datastores.json_text import number
from exporter.errors import QueryError
from exporter.logs import visible

MOST_BACKUPS = 10_000  # of one set, that a tool manages
_QUIET_SECONDS = 3600.0
_WITHOUT_BOUND = 2.0**63


class Level(NamedTuple):
    """What lies directly in a folder: its folders and files, by their own names."""

    folders: frozenset[str]
    files: Mapping[str, Entry]


def tool_folder(chosen: BackupSet) -> str:
    """Return the folder of a tool's set, with a slash at its end."""
    if Selection(chosen.files).prefix != chosen.files:
        raise QueryError(
            "unsupported", f"format {chosen.format}: `files` must be one folder of the tool, without wildcards"
        )
    return chosen.files.removesuffix("/") + "/"


async def level_of(look: Look, folder: str) -> Level:
    """List what lies directly in a folder; raise QueryError `limit` for more than 10,000."""
    folders, files, after = set[str](), dict[str, Entry](), ""
    while True:
        page = await look.place.list(folder, deep=False, after=after)
        folders.update(name.removeprefix(folder).removesuffix("/") for name in page.folders)
        files.update((entry.name.removeprefix(folder), entry) for entry in page.entries)
        if len(folders) + len(files) > MOST_BACKUPS:
            raise QueryError("limit", f"more than {MOST_BACKUPS:,} files and folders in {visible(folder)}")
        names = [*page.folders[-1:], *(entry.name for entry in page.entries[-1:])]
        if not page.more or not names:
            return Level(frozenset(folders), files)
        after = max(names)
        if time.monotonic() >= look.until:
            raise UnfinishedError


async def files_below(look: Look, folder: str) -> Sequence[Entry]:
    """Return all files in a folder and below; what one look is too short for goes on at the next."""
    return (await listed(look, Selection(escape(folder)))).entries


async def size_below(look: Look, folder: str) -> tuple[int, float]:
    """Return how many bytes lie in a folder and all below, and when the newest file was modified."""
    entries = await files_below(look, folder)
    return sum(entry.bytes for entry in entries), max((entry.modified for entry in entries), default=0.0)


async def folders_chosen(look: Look, selection: Selection) -> set[str]:
    """Return the folders that a glob chooses, each with a slash at its end; only folders on the way are listed."""
    segments = selection.files.removesuffix("/").split("/")
    if "**" in segments:
        return set((await listed(look, selection)).folders)
    found = [""]
    for depth, segment in enumerate(segments, 1):
        if Selection(segment).prefix == segment:
            found = [f"{folder}{segment}/" for folder in found]
            continue
        so_far = Selection("/".join(segments[:depth]) + "/")
        levels = [(folder, await level_of(look, folder)) for folder in found]
        found = [f"{folder}{name}/" for folder, level in levels for name in level.folders]
        found = [folder for folder in found if so_far.chooses(folder)]
    return set(found)


async def content_of(place: Place, name: str, most: int) -> bytes | None:
    """Return a whole file, None where there is none; raise QueryError `limit` where it is larger than `most`."""
    try:
        content = await place.read(name, 0, most + 1)
    except GoneError:
        return None
    if len(content) > most:
        raise QueryError("limit", f"{visible(name)} is larger than {most:,} bytes")
    return content


async def not_finished(look: Look, folder: str, name: str, began: float | None, problem: Problem) -> Backup:
    """Return a backup that its tool does not call complete: it is being made while something in it is young.

    began: None where that is not known; then the last modification counts. What was measured an hour after that stays
    as it is.
    """
    known = look.memory.progress
    if not isinstance(known, dict):
        known = look.memory.progress = {}
    if folder not in known or look.now - known[folder][1] < _QUIET_SECONDS:
        known[folder] = await size_below(look, folder)
    size, modified = known[folder]
    begin = modified if began is None else began
    running = look.now - max(begin, modified) < _QUIET_SECONDS
    return Backup(visible(name), min(begin, look.now), size, None if running else problem, being_written=running)


async def is_there(place: Place, name: str) -> bool:
    try:
        await place.read(name, 0, 1)
    except GoneError:
        return False
    return True


async def encryption_problem(look: Look, name: str, *, encrypted: bool) -> Problem | None:
    """Return what is wrong where the set demands encryption: neither the tool, nor the server of this file, does it."""
    with suppress(GoneError):
        if look.chosen.encrypted and not encrypted and not await look.place.encrypted_at_rest(name):
            return Problem("unencrypted", "neither its tool nor the server of the files encrypts it")
    return None


def finite(page: object, key: str) -> float | None:
    """Return a number of a page that others wrote; None for one that is none, negative or without bound."""
    try:
        value = number(page, key)
    except OverflowError:
        return None
    return value if value is not None and 0 <= value < _WITHOUT_BOUND else None


def named_time(text: str, layout: str, look: Look) -> float:
    """Return the time in a name that a tool gave, in the place's zone; now where it is none."""
    try:
        return datetime.strptime(text, layout).replace(tzinfo=look.zone).timestamp()
    except (ValueError, OverflowError):
        return look.now


def remembered(look: Look, pattern: re.Pattern[str], names: Collection[str]) -> dict[str, Any]:
    """Return what a format remembers of its backups, by name, without those that are gone.

    The memory also has what `not_finished` measured, by folder.
    """
    known: dict[str, Any] = look.memory.progress if isinstance(look.memory.progress, dict) else {}
    look.memory.progress = known
    for name in [key for key in known if pattern.fullmatch(key) and key not in names]:
        del known[name]
    return known
