"""Whether the files of a base backup are those of its manifest."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backup_sets.findings import shown
from exporter.datastores.backups.formats.base_backups.base_manifest import Manifest
from exporter.datastores.backups.formats.packing.compressed import LZ4, ZSTD, packed_problem
from exporter.datastores.backups.formats.packing.gzip_file import MAGIC as GZIP
from exporter.datastores.backups.formats.packing.gzip_file import gzip_problem
from exporter.datastores.backups.formats.packing.tar import tar_problem
from exporter.datastores.backups.formats.sample import Sample, TooManyReadsError, sample_of
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
    if any(f"pg_wal.tar{one}" in level for one in _ENDINGS):  # it was copied along: then a restore reads it
        sizes["pg_wal"] = _BLOCK
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
    """Return how an archive differs from one that holds so many bytes."""
    name = entry.name.removeprefix(folder)
    if not ending and entry.bytes < least:
        return Problem("truncated", f"{name} has {entry.bytes} bytes instead of {least} or more")
    sample = await sample_of(place, entry)
    if not sample.head.startswith(_MAGIC.get(ending, b"")):
        return Problem("format", f"{name} does not begin as such a file does")
    if ending == ".gz" and not _gzip_whole(int.from_bytes(sample.tail[-4:], "little"), least):
        return Problem("truncated", f"{name} has no end: {entry.bytes} bytes are not all")
    with suppress(TooManyReadsError):
        problem = await _ENDS[ending](sample)
        return Problem(problem.reason, f"{name}: {problem.detail}") if problem else None
    return None


_ENDS: Mapping[str, Callable[[Sample], Awaitable[Problem | None]]] = {
    "": tar_problem, ".gz": gzip_problem, ".lz4": packed_problem, ".zst": packed_problem
}  # fmt: skip


def _gzip_whole(told: int, least: int) -> bool:
    """Return whether a size at the end of a gzip file can be that of a tar archive of so many bytes."""
    return told % _BLOCK == 0 and (least >= _LEAST or told >= least)
