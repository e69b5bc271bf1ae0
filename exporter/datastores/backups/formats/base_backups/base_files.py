"""Whether the files of a base backup are those of its manifest."""

import re
from collections.abc import Mapping

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backup_sets.findings import shown
from exporter.datastores.backups.formats.base_backups.base_manifest import Manifest
from exporter.datastores.backups.formats.packing.compressed import LZ4, ZSTD
from exporter.datastores.backups.formats.packing.gzip_file import MAGIC as GZIP
from exporter.datastores.backups.places.place import Entry, GoneError, Place
from exporter.datastores.backups.wal.names import segment_of

_BLOCK = 512
_TABLESPACE = re.compile(r"pg_tblspc/(\d{1,10})/", re.ASCII)
_ENDINGS = ("", ".gz", ".lz4", ".zst")
_MAGIC = {".gz": GZIP, ".lz4": LZ4, ".zst": ZSTD}
_LEAST = 2**32  # bytes: gzip counts modulo this


def compared(files: Mapping[str, int], there: Mapping[str, int], segment: str) -> Problem | None:
    """Compare the sizes of a plain backup with those of its manifest.

    Tablespaces lie outside, behind links that are not followed: they are not compared. Where WAL was copied along, the
    segment that the restore begins with must be there.
    """
    outside = {found[1] for path in files if (found := _TABLESPACE.match(path))}
    outside -= {found[1] for path in there if (found := _TABLESPACE.match(path))}
    for path, size in files.items():
        tablespace = _TABLESPACE.match(path)
        if tablespace and tablespace[1] in outside:
            continue
        bytes_there = there.get(path)
        if bytes_there is None:
            return Problem("truncated", f"{shown(path)} is not there")
        if bytes_there != size:
            detail = f"{shown(path)} has {bytes_there} bytes instead of {size}"
            return Problem("truncated", detail) if bytes_there < size else Problem("checksum", detail)
    wal = {path.removeprefix("pg_wal/") for path in there if path.startswith("pg_wal/")}
    if segment and segment not in wal and any(map(segment_of, wal)):
        return Problem("truncated", f"pg_wal/{segment} is not there")
    return None


async def tars_problem(place: Place, folder: str, level: Mapping[str, Entry], manifest: Manifest) -> Problem | None:
    """Look at the ends of the tar archives of a backup: one for the database, one for each tablespace."""
    sizes: dict[str, int] = {"base": 0}
    for path, size in manifest.files.items():
        found = _TABLESPACE.match(path)
        name = found[1] if found else "base"
        sizes[name] = sizes.get(name, 0) + _BLOCK + -(-size // _BLOCK) * _BLOCK
    for name, least in sizes.items():
        ending = next((one for one in _ENDINGS if f"{name}.tar{one}" in level), None)
        if ending is None:
            return Problem("truncated", f"{name}.tar is not there")
        try:
            problem = await _tar_problem(place, folder, level[f"{name}.tar{ending}"], ending, least)
        except GoneError:
            return Problem("truncated", f"{name}.tar{ending} is not there")
        if problem:
            return problem
    return None


async def _tar_problem(place: Place, folder: str, entry: Entry, ending: str, least: int) -> Problem | None:
    """Return how an archive differs from one that holds so many bytes. Of zstd nothing at its end tells."""
    name = entry.name.removeprefix(folder)
    if not ending and entry.bytes < least:
        return Problem("truncated", f"{name} has {entry.bytes} bytes instead of {least} or more")
    head = await place.read(entry.name, 0, 8)
    tail = await place.read(entry.name, max(0, entry.bytes - _BLOCK), _BLOCK)
    if not head.startswith(_MAGIC.get(ending, b"")):
        return Problem("format", f"{name} does not begin as such a file does")
    whole = {
        "": not any(tail),
        ".gz": _gzip_whole(int.from_bytes(tail[-4:], "little"), least),
        ".lz4": tail.endswith(bytes(4)),
    }.get(ending, True)
    return None if whole else Problem("truncated", f"{name} has no end: {entry.bytes} bytes are not all")


def _gzip_whole(told: int, least: int) -> bool:
    """Return whether a size at the end of a gzip file can be that of a tar archive of so many bytes."""
    return told % _BLOCK == 0 and (least >= _LEAST or told >= least)
