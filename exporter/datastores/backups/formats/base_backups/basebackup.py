"""Base backups that pg_basebackup makes, plain or as tar archives: each is a folder with a manifest."""

import time
from dataclasses import dataclass, replace

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.clock import clock_problem
from exporter.datastores.backups.formats.base_backups.base_files import compared, tars_problem
from exporter.datastores.backups.formats.base_backups.base_label import Label, label_of
from exporter.datastores.backups.formats.base_backups.base_manifest import (
    TAIL,
    Manifest,
    Start,
    is_manifest,
    of_ends,
    parse_manifest,
)
from exporter.datastores.backups.formats.base_backups.catalogues import (
    Level,
    encryption_problem,
    files_below,
    folders_chosen,
    level_of,
    size_below,
)
from exporter.datastores.backups.formats.base_backups.chains import chained
from exporter.datastores.backups.look import Found, Look, UnfinishedError
from exporter.datastores.backups.places.place import MOST_ENTRIES, Entry, GoneError
from exporter.datastores.backups.selection import Selection
from exporter.datastores.backups.wal.names import name_at
from exporter.datastores.off_loop import off_loop
from exporter.errors import QueryError
from exporter.logs import visible

_MANIFEST_BYTES = 32 * 2**20
_PIECE = 4 * 2**20
_CHECKED_SECONDS = 86_400.0  # files may vanish later
_QUIET_SECONDS = 600.0  # in which a backup that is being made writes something
_NAME = "backup_manifest"
_UNFINISHED = Problem("truncated", f"{_NAME} is not there: it was never finished, or made with --no-manifest")


@dataclass(frozen=True, slots=True)
class Checked:
    """A backup whose files were compared with its manifest: of that, as listed, and when."""

    manifest: Entry
    at: float
    backup: Backup
    start: Start | None
    system: int | None
    builds_on: Start | None


async def read(look: Look) -> Found:
    """Read the folders that `files` chooses: each is one backup, complete once it has a manifest.

    The time is that of the last file that the server sent, the size what a restore reads. An incremental backup needs
    the one that it builds on in the same set; in archives packed with zstd or lz4 that one cannot be told.
    """
    selection = Selection(look.chosen.files)
    if not selection.of_folders:
        raise QueryError("unsupported", "format basebackup: `files` must choose folders, as base/*/ does")
    known = look.memory.progress if isinstance(look.memory.progress, dict) else {}
    folders = await folders_chosen(look, selection)
    look.memory.progress = known = {folder: one for folder, one in known.items() if folder in folders}
    unfinished = []
    for folder in sorted(folders, reverse=True):
        level = await level_of(look, folder)
        manifest = level.files.get(_NAME)
        if manifest is None:
            known.pop(folder, None)
            if level.files or level.folders:
                unfinished.append(await _without_manifest(look, folder))
        elif folder not in known or known[folder].manifest != manifest or _old(look, known[folder]):
            known[folder] = await _checked(look, folder, level, manifest)
            if time.monotonic() >= look.until:
                raise UnfinishedError
    return Found([*_with_chains(list(known.values())), *unfinished])


def _old(look: Look, one: Checked) -> bool:
    return look.now - one.at > _CHECKED_SECONDS


async def _without_manifest(look: Look, folder: str) -> Backup:
    size, modified = await size_below(look, folder)
    running = look.now - modified < _QUIET_SECONDS
    problem = None if running else _UNFINISHED
    return Backup(_name(folder), min(modified, look.now), size, problem, being_written=running)


async def _checked(look: Look, folder: str, level: Level, entry: Entry) -> Checked:
    manifest = await _manifest(look, entry)
    label = await label_of(look.place, folder, level.files)
    segment = label.segment or (name_at(*manifest.start) if manifest and manifest.start else "")
    tars = any(".tar" in name for name in level.files)
    files = () if tars else await files_below(look, folder)
    there = {file.name.removeprefix(folder): file.bytes for file in files}
    size = sum(file.bytes for file in level.files.values()) if tars else sum(there.values())
    problem = _manifest_problem(manifest)
    if manifest is not None and problem is None and manifest.files:
        problem = (
            await tars_problem(look.place, folder, level.files, manifest)
            if tars
            else await off_loop(len(there) * 64, compared, manifest.files, there, segment)
        )
    problem = problem or await encryption_problem(look, entry.name, encrypted=False)
    return _result(look, entry, (manifest, label, segment), Backup(_name(folder), 0, size, problem))


def _result(look: Look, entry: Entry, told: tuple[Manifest | None, Label, str], backup: Backup) -> Checked:
    manifest, label, segment = told
    began, ended = (manifest.began, manifest.ended) if manifest else (None, None)
    made = entry.modified if ended is None else ended
    backup = replace(
        backup,
        time=min(made, look.now),
        problem=backup.problem or clock_problem(made, look.now),
        seconds=max(0.0, ended - began) if began is not None and ended is not None else None,
        start_segment=segment,
    )
    return Checked(
        entry, look.now, backup, manifest.start if manifest else None, manifest.system if manifest else None,
        label.builds_on,
    )  # fmt: skip


async def _manifest(look: Look, entry: Entry) -> Manifest | None:
    """Read a manifest: whole where it is not too large, else its ends; None for a file that is none."""
    try:
        head = await look.place.read(entry.name, 0, TAIL)
        if not is_manifest(head):
            return None
        if entry.bytes > _MANIFEST_BYTES:
            return of_ends(head, await look.place.read(entry.name, entry.bytes - TAIL, TAIL))
        content = head
        while len(content) < entry.bytes and (
            piece := await look.place.read(entry.name, len(content), min(_PIECE, entry.bytes - len(content)))
        ):
            content += piece
    except GoneError:
        return None
    if content.count(b"\n") > MOST_ENTRIES:
        return of_ends(head, content[-TAIL:])
    return await off_loop(len(content), parse_manifest, content)


def _manifest_problem(manifest: Manifest | None) -> Problem | None:
    if manifest is None:
        return Problem("format", f"{_NAME} is no manifest")
    return Problem("checksum", f"{_NAME} does not match its checksum") if manifest.sound is False else None


def _with_chains(found: list[Checked]) -> list[Backup]:
    """Return the backups; an incremental one is broken where what it builds on is not in the set."""
    by_start = {(one.system, one.start): one.backup.name for one in found if one.start}
    needs = {
        one.backup.name: [
            by_start.get((one.system, one.builds_on), f"a backup that began at {_position(one.builds_on)}")
        ]
        if one.builds_on
        else []
        for one in found
    }
    return chained((one.backup for one in found), needs)


def _position(start: Start) -> str:
    return f"{start.position >> 32:X}/{start.position & 0xFFFFFFFF:X}"


def _name(folder: str) -> str:
    return visible(folder.removesuffix("/"))
