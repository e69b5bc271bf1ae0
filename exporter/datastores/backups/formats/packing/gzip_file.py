"""Files of gzip: whole to the last bit."""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.packing.deflate_end import deflate_end, members_end
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.off_loop import in_thread

MAGIC = b"\x1f\x8b"
WINDOW = 132 * 1024  # bytes at the end, in which a block begins: zlib's are some 20 KiB, others' below 100 KiB
_TRAILER = 8  # the checksum and the length of the text
_HEADER = 18  # of the shortest file
_MOST_PACKED = 1032  # bytes of text for one of deflate


async def gzip_problem(sample: Sample, begin: int = 0) -> Problem | None:
    """Judge a file of gzip that begins at `begin`: unpack a short one, decode the last blocks of a long one.

    Where no block begins in the window, which only other programs than gzip and zlib write, the length in the trailer
    has to be one that so many bytes can be of.
    """
    size = sample.size - begin
    truncated = Problem("truncated", f"its packed data do not end at {sample.size} bytes")
    if sample.head[begin + 2 : begin + 3] not in {b"\x08", b""}:
        return Problem("format", "not of gzip's only method")
    if size < _HEADER:
        return truncated
    start = max(begin, sample.size - WINDOW)
    window = await sample.read(start, WINDOW)
    if start == begin:
        end = await in_thread(members_end, window)
    else:
        end = await in_thread(deflate_end, window, _TRAILER)
    if end == "more":
        return Problem("format", "other bytes after its end")
    if end == "unknown":
        length = int.from_bytes(window[-4:], "little")
        least = (size * 9 // 10) % 2**32
        return None if (length - least) % 2**32 <= min(size * _MOST_PACKED, 2**32 - 1) - least else truncated
    return None if end == "whole" else truncated
