"""The backups of a server that Barman makes, or barman-cloud-backup."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.clock import clock_problem
from exporter.datastores.backup_sets.findings import shown
from exporter.datastores.backups.formats.base_backups.catalogues import (
    Level,
    content_of,
    encryption_problem,
    finite,
    level_of,
    named_time,
    not_finished,
    remembered,
    tool_folder,
)
from exporter.datastores.backups.formats.base_backups.chains import chained
from exporter.datastores.backups.look import Found, Look, UnfinishedError
from exporter.datastores.backups.wal.names import segment_of
from exporter.datastores.json_text import timestamp

_ID = re.compile(r"\d{8}T\d{6}", re.ASCII)
_META = "-backup.info"
_INFO_BYTES = 2**20
_RUNNING = {"EMPTY", "STARTED", "SYNCING", "WAITING_FOR_WALS"}
_KNOWN_SECONDS = 3600.0  # until a complete backup's files are looked at again


@dataclass(frozen=True, slots=True)
class Known:
    """A complete backup, when it was read, and what it builds on."""

    at: float
    backup: Backup
    parent: str


async def read(look: Look) -> Found:
    """Read the `backup.info` of each backup; `files` is the server's folder, or `base` in it.

    Source: https://docs.pgbarman.org, and what Barman 3.19 writes. Newer versions keep the files in `meta`. The size of
    an incremental backup is what its restore reads: with those of its parents.
    """
    folder = tool_folder(look.chosen)
    level = await level_of(look, folder)
    top = folder if "base" in level.folders else folder.removesuffix("base/")
    base = await level_of(look, f"{top}base/") if top != folder or "base" in level.folders else level
    meta = await level_of(look, f"{top}meta/")
    told = {name.removesuffix(_META) for name in meta.files if name.endswith(_META)}
    names = {name for name in base.folders | told if _ID.fullmatch(name)}
    backups: dict[str, Known] = {}
    known: dict[str, Known] = remembered(look, _ID, names)
    for name in sorted(names, reverse=True):
        one = known.get(name)
        if one is None or look.now - one.at > _KNOWN_SECONDS or name not in base.folders:
            if time.monotonic() >= look.until:
                raise UnfinishedError
            one = await _read(look, top, name, meta, base)
        if one.backup.good:
            known[name] = one
        backups[name] = one
    needs = {name: [one.parent] if one.parent else [] for name, one in backups.items()}
    return Found(chained((one.backup for one in backups.values()), needs))


async def _read(look: Look, top: str, name: str, meta: Level, base: Level) -> Known:
    below = f"{top}base/{name}/"
    file = f"{top}meta/{name}{_META}" if f"{name}{_META}" in meta.files else f"{below}backup.info"
    content = await content_of(look.place, file, _INFO_BYTES)
    info = _parsed(content or b"")
    begun = timestamp(info.get("begin_time")) or named_time(name, "%Y%m%dT%H%M%S", look)
    ended = timestamp(info.get("end_time"))
    status, parent = info.get("status", ""), info.get("parent_backup_id", "None")
    if not content or status in _RUNNING:
        told = f"it was never finished: status {shown(status)}" if content else "backup.info is not there"
        running = await not_finished(look, below, name, begun, Problem("truncated", told))
        return Known(look.now, running, "")
    moment = begun if ended is None else ended
    problem = _problem(info) or clock_problem(moment, look.now)
    if problem is None and not await _has_data(look, below, name, base):
        problem = Problem("truncated", "its files are not there")
    encrypted = info.get("encryption", "None") != "None"
    problem = problem or await encryption_problem(look, file, encrypted=encrypted)
    segment = info.get("begin_wal", "")
    backup = Backup(
        name,
        min(moment, look.now),
        finite({"size": _number(info.get("size", ""))}, "size") or 0,
        problem,
        seconds=None if ended is None or ended < begun else ended - begun,
        start_segment=segment if segment_of(segment) else "",
    )
    return Known(look.now, backup, "" if parent == "None" else parent)


async def _has_data(look: Look, below: str, name: str, base: Level) -> bool:
    """Return whether there is a folder of data, or an archive of it as barman-cloud-backup makes."""
    if name not in base.folders:
        return False
    level = await level_of(look, below)
    return "data" in level.folders or any(file.startswith("data.tar") for file in level.files)


def _problem(info: Mapping[str, str]) -> Problem | None:
    status = info.get("status", "")
    if status == "DONE":
        return None
    if status == "FAILED":
        return Problem("failed", f"Barman says: {shown(info.get('error', 'no reason'))}")
    return Problem("format", f"backup.info has the status {shown(status) or 'of none'}")


def _parsed(content: bytes) -> dict[str, str]:
    lines = (line.partition("=") for line in content.decode("utf-8", "replace").split("\n"))
    return {key.strip(): value.strip() for key, equals, value in lines if equals}


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None
