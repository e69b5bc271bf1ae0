"""Archives of pg_dump -Fc: proof that all data are there, from few and small reads."""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.pg_dump.blocks import (
    DATA,
    LARGE_OBJECTS,
    begins_block,
    end_of_block,
    ends_with_chunk,
    head_of,
)
from exporter.datastores.backups.formats.pg_dump.toc import CUSTOM, Archive, ArchiveFormatError, CutError, parse
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.backups.look import Look, Verdict
from exporter.datastores.off_loop import in_thread

TOC_PIECE = 128 * 1024  # bytes of one more read of the table of contents
TOC_PIECES = 3
WINDOW = 132 * 1024  # bytes at the end: more than the largest chunk that pg_dump writes
_MOST_HEADS = 100  # places that look like the begin of one block


async def verify(look: Look, sample: Sample) -> Verdict:
    """Judge an archive. One that was cut is told as such wherever that was, but in two cases.

    Beyond 388 KiB of a table of contents (some 400 tables), and in an archive made through a pipe whose last table's
    data are longer than 132 KiB, a cut exactly between the data of two tables is not seen there. pg_dump itself never
    ends there, and of all places to cut they are as many as there are tables.
    """
    try:
        archive = await read_archive(sample)
    except ArchiveFormatError as error:
        return Verdict(Problem("format", str(error)))
    except CutError:
        return Verdict(Problem("truncated", f"its header ends at {sample.size} bytes"))
    if archive.kind != CUSTOM:
        return Verdict(Problem("format", "it is the table of contents of a folder of pg_dump -Fd, without the folder"))
    return Verdict(await _problem(sample, archive), archive.time(look.zone))


async def read_archive(sample: Sample) -> Archive:
    """Read the head of an archive, and more while its table of contents goes on."""
    head = sample.head
    archive = parse(head)
    for _ in range(TOC_PIECES):
        if archive.end is not None or len(head) >= sample.size:
            break
        head += await sample.read(len(head), TOC_PIECE)
        archive = await in_thread(parse, head)
    return archive


async def _problem(sample: Sample, archive: Archive) -> Problem | None:
    problem = _toc_problem(sample, archive)
    if problem or (archive.end is not None and not archive.entries):
        return problem
    window = await sample.read(max(0, sample.size - WINDOW), WINDOW)
    last = max((entry.offset for entry in archive.entries), default=0)
    if last:
        return await _with_offsets(sample, archive, window, last)
    return await in_thread(_without_offsets, archive, window, sample.size)


def _toc_problem(sample: Sample, archive: Archive) -> Problem | None:
    """Compare the table of contents with the size."""
    size = sample.size
    last = max((entry.offset for entry in archive.entries), default=0)
    if last >= size:
        return Problem("truncated", f"data at {last} of {size} bytes")
    if archive.end is None:
        read_all = size <= len(sample.head) + TOC_PIECE * TOC_PIECES
        return Problem("truncated", f"its table of contents does not end within {size} bytes") if read_all else None
    if not archive.entries:
        return Problem("format", f"{size - archive.end} bytes after its end") if size > archive.end else None
    return Problem("truncated", f"data at {archive.end} of {size} bytes") if size <= archive.end else None


async def _with_offsets(sample: Sample, archive: Archive, window: bytes, last: int) -> Problem | None:
    """Look at the last block, whose begin is known."""
    begin = sample.size - len(window)
    [entry] = [entry for entry in archive.entries if entry.offset == last][:1]
    start = await sample.read(last, 2 + archive.int_size)
    if len(start) == 2 + archive.int_size and not begins_block(start, 0, entry.dump_id, archive.int_size):
        return Problem("format", f"no data at {last}, where its table of contents says so")
    if archive.end is not None and last >= begin:
        end = await in_thread(end_of_block, window, last - begin, archive.int_size)
        return _ends(end, len(window), sample.size)
    return await in_thread(_chunk_ends, archive, window, sample.size)


def _without_offsets(archive: Archive, window: bytes, size: int) -> Problem | None:
    """Look for the block of the last entry: pg_dump could not go back to write where it begins."""
    problem = _chunk_ends(archive, window, size)
    if archive.end is None:
        return problem
    *others, last = archive.entries
    ends = _block_ends(window, last.dump_id, archive.int_size)
    if ends:
        return None if len(window) in ends else Problem("truncated", f"its last data do not end within {size} bytes")
    for number, entry in enumerate(others, 1):
        if len(window) in _block_ends(window, entry.dump_id, archive.int_size):
            return Problem("truncated", f"ends after the data of {number} of {len(archive.entries)} objects")
    if size - len(window) <= archive.end:  # all data were looked through
        return Problem("truncated", f"the data of its last object are not within {size} bytes")
    return problem


def _block_ends(window: bytes, dump_id: int, int_size: int) -> list[int | None]:
    """Return where blocks of an entry end that seem to begin within the window."""
    ends: list[int | None] = []
    for kind in (DATA, LARGE_OBJECTS):
        head = head_of(kind, dump_id, int_size)
        at = window.rfind(head)
        while at >= 0 and len(ends) < _MOST_HEADS:
            ends.append(end_of_block(window, at, int_size))
            at = window.rfind(head, 0, at)
    return ends


def _chunk_ends(archive: Archive, window: bytes, size: int) -> Problem | None:
    """Tell whether the end of a block is the end of the file; texts, not compressed, may be longer than the window."""
    if ends_with_chunk(window, archive.int_size):
        return None
    if not archive.compressed and _text_ends(window, archive.int_size):
        return None
    return Problem("truncated", f"no end of data at {size} bytes")


def _text_ends(window: bytes, int_size: int) -> bool:
    r"""Tell whether a row longer than the window ends there: COPY's end `\.` is a chunk of its own."""
    return window.endswith(b"\\.\n\n\n" + bytes(1 + int_size))


def _ends(end: int | None, there: int, size: int) -> Problem | None:
    if end is None:
        return Problem("truncated", f"its last data do not end within {size} bytes")
    return Problem("format", f"{there - end} bytes after its end") if end < there else None
