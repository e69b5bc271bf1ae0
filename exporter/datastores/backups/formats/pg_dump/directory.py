"""Folders of pg_dump -Fd: a table of contents, and a file for the data of each table."""

from collections.abc import Mapping, Sequence

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.packing.compressed import LZ4, ZSTD, packed_problem
from exporter.datastores.backups.formats.packing.gzip_file import MAGIC as GZIP
from exporter.datastores.backups.formats.packing.gzip_file import gzip_problem
from exporter.datastores.backups.formats.pg_dump.custom import TOC_PIECE, TOC_PIECES, read_archive
from exporter.datastores.backups.formats.pg_dump.toc import Archive, ArchiveFormatError, CutError
from exporter.datastores.backups.formats.sample import HEAD, TooManyReadsError, sample_of
from exporter.datastores.backups.look import Look, Verdict
from exporter.datastores.backups.places.place import Entry

TOC = "toc.dat"
MOST_FILES = 32  # of one dump that are opened, the largest first; the others have to be there and not empty
_SUFFIXES = ("", ".gz", ".lz4", ".zst")
_ROWS_END = b"\\.\n\n\n"  # of COPY, in a file that is not packed
_MOST_OBJECTS = 64 * 1024  # bytes of a list of large objects


async def verify_folder(look: Look, folder: str, entries: Sequence[Entry]) -> Verdict:
    """Judge a dump by its files. pg_dump writes the table of contents last: without it, it did not end."""
    files = {entry.name.removeprefix(folder): entry for entry in entries}
    toc = files.get(TOC)
    if toc is None:
        return Verdict(Problem("truncated", f"no {TOC}, which pg_dump writes last"))
    if toc.bytes == 0:
        return Verdict(Problem("empty", f"{TOC} has 0 bytes"))
    sample = await sample_of(look.place, toc)
    try:
        archive = await read_archive(sample)
    except ArchiveFormatError as error:
        return Verdict(Problem("format", f"{TOC}: {error}"))
    except CutError:
        return Verdict(Problem("truncated", f"{TOC}: its header ends at {toc.bytes} bytes"))
    problem = _toc_problem(archive, toc) or await _files_problem(look, files, [one.file for one in archive.entries])
    return Verdict(problem, archive.time(look.zone))


def _toc_problem(archive: Archive, toc: Entry) -> Problem | None:
    if archive.end is None:
        read_all = toc.bytes <= HEAD + TOC_PIECE * TOC_PIECES
        return Problem("truncated", f"{TOC} does not end within {toc.bytes} bytes") if read_all else None
    more = toc.bytes - archive.end
    return Problem("format", f"{TOC} has {more} bytes after its end") if more else None


async def _files_problem(look: Look, files: Mapping[str, Entry], names: Sequence[str]) -> Problem | None:
    """Find each file that is named, and look at the ends of the largest ones."""
    found: list[Entry] = []
    wanted = list(names)
    for name in names:
        if name.startswith("blobs") and name.endswith(".toc") and name in files:
            wanted += await _large_objects(look, files[name])
    for name in wanted:
        entry = next((files[name + suffix] for suffix in _SUFFIXES if name + suffix in files), None)
        if entry is None:
            return Problem("truncated", f"{name} is missing")
        if entry.bytes == 0 and not name.startswith("blob"):
            return Problem("truncated", f"{name} is empty")
        found.append(entry)
    for entry in sorted(found, key=lambda entry: entry.bytes, reverse=True)[:MOST_FILES]:
        problem = await _file_problem(look, entry)
        if problem is not None:
            return Problem(problem.reason, f"{entry.name.rpartition('/')[2]}: {problem.detail}")
    return None


async def _large_objects(look: Look, entry: Entry) -> list[str]:
    """Return the files that a list of large objects names, a line each: an OID and a file."""
    text = await look.place.read(entry.name, 0, _MOST_OBJECTS)
    lines = [line.split(" ", 1) for line in text.decode("utf-8", "surrogateescape").split("\n")[:-1]]
    return [line[1] for line in lines if len(line) > 1]


async def _file_problem(look: Look, entry: Entry) -> Problem | None:
    name = entry.name.rpartition("/")[2]
    if entry.bytes == 0 or (name.startswith("blob") and name.endswith((".dat", ".toc"))):
        return None  # the bytes of a large object may end in any way
    sample = await sample_of(look.place, entry)
    try:
        if name.endswith(".gz"):
            good = sample.head.startswith(GZIP)
            return await gzip_problem(sample) if good else Problem("format", "not of gzip")
        if name.endswith((".lz4", ".zst")):
            good = sample.head.startswith((LZ4, ZSTD))
            return await packed_problem(sample) if good else Problem("format", "neither lz4 nor zstd")
    except TooManyReadsError:
        return None
    ends = sample.tail.endswith(_ROWS_END)
    return None if ends else Problem("truncated", f"no end of its rows at {entry.bytes} bytes")
