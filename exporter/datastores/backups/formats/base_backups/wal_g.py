"""The backups of PostgreSQL that WAL-G makes."""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.clock import clock_problem
from exporter.datastores.backup_sets.findings import shown
from exporter.datastores.backups.formats.base_backups.catalogues import (
    content_of,
    encryption_problem,
    finite,
    level_of,
    not_finished,
    remembered,
    size_below,
    tool_folder,
)
from exporter.datastores.backups.formats.base_backups.chains import chained
from exporter.datastores.backups.formats.encrypted import is_encrypted
from exporter.datastores.backups.formats.packing.compressed import LZ4, ZSTD
from exporter.datastores.backups.formats.packing.gzip_file import MAGIC as GZIP
from exporter.datastores.backups.look import Found, Look, UnfinishedError
from exporter.datastores.backups.places.place import Entry
from exporter.datastores.json_text import at, parse_json, timestamp
from exporter.errors import QueryError

_FOLDER = "basebackups_005"
_SENTINEL = "_backup_stop_sentinel.json"
_NAME = re.compile(r"base_([0-9A-F]{24})(_D_[0-9A-F]{24})?")
_SENTINEL_BYTES = 4 * 2**20  # old versions list all files in it
_MAGIC = {"lz4": LZ4, "zst": ZSTD, "lzma": b"\x5d", "gz": GZIP}
_METADATA_BYTES = 2**20
_KNOWN_SECONDS = 3600.0  # until a complete backup's files are looked at again
_UNFINISHED = Problem("truncated", "it was never finished: it has no sentinel")


@dataclass(frozen=True, slots=True)
class Known:
    """A backup with a sentinel: of that, as listed, when it was read, and what the backup builds on."""

    sentinel: Entry
    at: float
    backup: Backup
    parent: str


async def read(look: Look) -> Found:
    """Read the sentinels, which WAL-G writes last; `files` is the prefix of its storage, or `basebackups_005` in it.

    Source: `internal/databases/postgres/backup_sentinel_dto.go` of WAL-G. Times are in the sentinel, in older versions
    in `metadata.json`, else the sentinel's modification counts. The size of a delta is what its restore reads.
    """
    folder = tool_folder(look.chosen)
    level = await level_of(look, folder)
    if _FOLDER in level.folders:
        folder += f"{_FOLDER}/"
        level = await level_of(look, folder)
    sentinels = {name.removesuffix(_SENTINEL): entry for name, entry in level.files.items() if name.endswith(_SENTINEL)}
    sentinels = {name: entry for name, entry in sentinels.items() if _NAME.fullmatch(name)}
    begun = sorted(name for name in level.folders - set(sentinels) if _NAME.fullmatch(name))
    known: dict[str, Known] = remembered(look, _NAME, sentinels)
    found: dict[str, Known] = {}
    for name, entry in sorted(sentinels.items(), reverse=True):
        one = known.get(name)
        if one is None or one.sentinel != entry or look.now - one.at > _KNOWN_SECONDS or name not in level.folders:
            if time.monotonic() >= look.until:
                raise UnfinishedError
            one = known[name] = await _read(look, folder, name, entry)
        found[name] = one
    unfinished = [await not_finished(look, f"{folder}{name}/", name, None, _UNFINISHED) for name in begun]
    needs = {name: _parents(name, one.parent, found) for name, one in found.items()}
    return Found([*chained((one.backup for one in found.values()), needs), *unfinished])


async def _read(look: Look, folder: str, name: str, entry: Entry) -> Known:
    sentinel = await _json(look, entry.name, _SENTINEL_BYTES)
    metadata = None
    if timestamp(at(sentinel, "FinishTime")) is None:
        metadata = await _json(look, f"{folder}{name}/metadata.json", _METADATA_BYTES)
    began, ended = (
        timestamp(at(sentinel, key) or at(metadata, older))
        for key, older in (("StartTime", "start_time"), ("FinishTime", "finish_time"))
    )
    size = finite(sentinel, "CompressedSize")
    moment = entry.modified if ended is None else ended
    parent = at(sentinel, "DeltaFrom")
    backup = Backup(
        name,
        min(moment, look.now),
        size or (await size_below(look, f"{folder}{name}/"))[0],
        await _problem(look, folder, name, sentinel) or clock_problem(moment, look.now),
        seconds=ended - began if began is not None and ended is not None and ended >= began else None,
        start_segment=name[5:29],
    )
    return Known(entry, look.now, backup, parent if isinstance(parent, str) else "")


async def _json(look: Look, name: str, most: int) -> object:
    """Return what a file holds: None for one that is not there or no JSON, nothing for one that is too large."""
    try:
        content = await content_of(look.place, name, most)
        return None if content is None else await parse_json(content, shown(name))
    except QueryError as error:
        if error.reason not in {"decode", "limit"}:
            raise
        return {} if error.reason == "limit" else None


async def _problem(look: Look, folder: str, name: str, sentinel: object) -> Problem | None:
    """Return what is wrong with a backup: a restore demands the archive of pg_control, which is uploaded last."""
    if not isinstance(sentinel, Mapping):
        return Problem("format", "its sentinel is no JSON object that can be read")
    page = await look.place.list(f"{folder}{name}/tar_partitions/pg_control.tar", deep=False, most=1)
    for entry in page.entries:
        encrypted = look.chosen.encrypted and await _is_encrypted(look, entry.name)
        return await encryption_problem(look, entry.name, encrypted=encrypted)
    return Problem("truncated", "tar_partitions/pg_control.tar is not there")


async def _is_encrypted(look: Look, name: str) -> bool:
    """Return whether an archive does not begin as its packer writes it; brotli has no begin of its own."""
    magic = _MAGIC.get(name.rpartition(".")[2])
    head = await look.place.read(name, 0, 512)
    return is_encrypted(head) or (magic is not None and not head.startswith(magic))


def _parents(name: str, told: str, names: Iterable[str]) -> list[str]:
    """Return what a backup builds on: as its sentinel tells, else as its name does, by the segment it began with."""
    began = name.partition("_D_")[2]
    if told or not began:
        return [told] if told else []
    return [next((one for one in names if one.startswith(f"base_{began}")), f"base_{began}")]
