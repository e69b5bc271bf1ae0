"""The backups of a stanza in a repository of pgBackRest."""

import re
from collections.abc import Iterator, Mapping

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.clock import clock_problem
from exporter.datastores.backups.formats.base_backups.catalogues import (
    Level,
    content_of,
    encryption_problem,
    finite,
    is_there,
    level_of,
    named_time,
    not_finished,
    tool_folder,
)
from exporter.datastores.backups.formats.base_backups.chains import broken_chains
from exporter.datastores.backups.formats.base_backups.pgbackrest_info import Info, parse_info
from exporter.datastores.backups.look import Found, Look
from exporter.datastores.backups.wal.names import segment_of
from exporter.datastores.json_text import Json
from exporter.datastores.off_loop import off_loop
from exporter.logs import visible

_INFO_BYTES = 8 * 2**20
_LABEL = re.compile(r"\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?", re.ASCII)
_LOOKED_INTO = 20  # folders a look, the newest ones
_ENCRYPTED = b"Salted__"
_DAMAGED = Problem("checksum", "backup.info and its copy do not match their checksums")
_NO_INFO = Problem("unreadable", "backup.info is not there")
_NOT_LISTED = Problem("truncated", "it was never finished: backup.info does not list it")
_NO_MANIFEST = Problem("truncated", "backup.manifest is not there")


async def read(look: Look) -> Found:
    """Read `backup.info`, or its copy; `files` is the stanza's folder below `backup`.

    Sizes are what a restore needs of the repository, with what a backup builds on: so the ones of incremental backups
    can be compared. Of an encrypted repository the labels are known alone: no segments, no durations, no chains.
    """
    folder = tool_folder(look.chosen)
    level = await level_of(look, folder)
    contents = [
        content
        for name in ("backup.info", "backup.info.copy")
        if (content := await content_of(look.place, folder + name, _INFO_BYTES)) is not None
    ]
    labels = sorted(filter(_LABEL.fullmatch, level.folders))
    if any(content.startswith(_ENCRYPTED) for content in contents):
        return Found([await _of_label(look, folder, label) for label in labels])
    infos = [await off_loop(len(content), parse_info, content) for content in contents]
    info = max(infos, key=lambda one: one.whole, default=None)
    if info is None:
        return Found([Backup(label, _time(look, label), 0, _NO_INFO) for label in labels])
    finished = await _finished(look, folder, level, info)
    unlisted = [
        await not_finished(look, f"{folder}{label}/", label, _time(look, label), _NOT_LISTED)
        for label in labels
        if label not in info.backups
    ]
    return Found([*_listed(look, info, finished), *unlisted])


async def _finished(look: Look, folder: str, level: Level, info: Info) -> dict[str, Problem]:
    """Return what is wrong with the folders of backups."""
    open_to_all = await encryption_problem(look, f"{folder}backup.info", encrypted=False)
    problems = dict.fromkeys(info.backups, open_to_all) if open_to_all else {}
    problems |= {
        label: Problem("truncated", "its folder is not there") for label in info.backups if label not in level.folders
    }
    there = sorted(set(info.backups) & level.folders, reverse=True)
    for label in there[:_LOOKED_INTO]:
        if not await is_there(look.place, f"{folder}{label}/backup.manifest"):
            problems[label] = _NO_MANIFEST
    return problems


def _listed(look: Look, info: Info, folders: Mapping[str, Problem]) -> Iterator[Backup]:
    own = {
        label: problem
        for label, backup in info.backups.items()
        if (problem := (None if info.whole else _DAMAGED) or folders.get(label) or _problem(backup, look.now))
    }
    needs = {label: _needs(backup) for label, backup in info.backups.items()}
    parts = {label: finite(backup, "backup-info-repo-size-delta") or 0 for label, backup in info.backups.items()}
    broken = broken_chains(needs, own)
    for label, backup in info.backups.items():
        start, stop = (finite(backup, f"backup-timestamp-{end}") for end in ("start", "stop"))
        yield Backup(
            visible(label),
            _time(look, label) if stop is None else min(stop, look.now),
            _bytes(label, info, needs, parts),
            own.get(label) or broken.get(label),
            seconds=None if start is None or stop is None or stop < start else stop - start,
            start_segment=_start_segment(backup, info),
        )


def _problem(backup: Json, now: float) -> Problem | None:
    if backup.get("backup-error") is True:
        return Problem("checksum", "pages of the database did not match their checksums when it was made")
    stop = finite(backup, "backup-timestamp-stop")
    return Problem("format", "backup.info does not tell when it ended") if stop is None else clock_problem(stop, now)


def _needs(backup: Json) -> set[str]:
    references = backup.get("backup-reference")
    listed = references if isinstance(references, list) else []
    return {label for label in [backup.get("backup-prior"), *listed] if isinstance(label, str)}


def _bytes(label: str, info: Info, needs: Mapping[str, set[str]], parts: Mapping[str, float]) -> float:
    """Return what a restore reads; of incremental blocks the tool tells the own part, and to which others it refers."""
    whole = finite(info.backups[label], "backup-info-repo-size")
    return sum(parts.get(one, 0) for one in {label, *needs[label]}) if whole is None else whole


def _start_segment(backup: Json, info: Info) -> str:
    name = backup.get("backup-archive-start")
    archive = info.archives.get(int(finite(backup, "db-id") or 0))
    return f"{archive}/{name}" if archive and isinstance(name, str) and segment_of(name) else ""


async def _of_label(look: Look, folder: str, label: str) -> Backup:
    """Return a backup of an encrypted repository: complete once its manifest is there."""
    begun, below = _time(look, label), f"{folder}{label}/"
    if not await is_there(look.place, f"{below}backup.manifest"):
        return await not_finished(look, below, label, begun, _NO_MANIFEST)
    size = (await not_finished(look, below, label, begun, _NO_MANIFEST)).bytes
    return Backup(label, min(begun, look.now), size, clock_problem(begun, look.now))


def _time(look: Look, label: str) -> float:
    """Return when a backup began, in the zone of the server that made it, as its label says."""
    return named_time(label[-16:-1], "%Y%m%d-%H%M%S", look)
