"""Archives of tar: the last file in it ends where its header says, and two blocks of zeros follow."""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.sample import Sample, TooManyReadsError

BLOCK = 512
MOST_HEADERS = 128  # reads of headers
_PIECE = 4096  # bytes of one: short files one after the other are passed at once
_MAGIC = 257  # where `ustar` is in a header
_MOST_ZEROS = 64 * 1024  # bytes at the end: programs fill up to 10 KiB, some more; what was never filled has more
_END_BYTES = 16 * 1024  # at the end in which the last header has to be, if it can be found


def is_tar(head: bytes) -> bool:
    return head[_MAGIC : _MAGIC + 5] == b"ustar"


async def tar_problem(sample: Sample) -> Problem | None:
    """Judge an archive: by the header of its last file, where that is a short one, else by walking all headers.

    Of an archive of many large files not all headers are read: there, zeros within a file pass for the end if it was
    cut in them, at a multiple of 512 bytes.
    """
    truncated = Problem("truncated", f"no end of the archive at {sample.size} bytes")
    begin = max(0, (sample.size - _END_BYTES) // BLOCK * BLOCK)
    end = await sample.read(begin, sample.size - begin)
    if sample.size % BLOCK or not end.endswith(bytes(2 * BLOCK)):
        return truncated
    if any(_ends_here(end, at) for at in range(0, len(end) - 2 * BLOCK, BLOCK)):
        return None
    sample.most_reads = MOST_HEADERS
    try:
        return await _walk(sample)
    except TooManyReadsError:
        return None


async def _walk(sample: Sample) -> Problem | None:
    at, piece, begin = 0, sample.head, 0
    while at + 2 * BLOCK <= sample.size:
        if at + BLOCK > begin + len(piece):
            piece, begin = await sample.read(at, _PIECE), at
        header = piece[at - begin : at - begin + BLOCK]
        if not header.strip(b"\0"):
            zeros = sample.size - at
            return None if zeros <= _MOST_ZEROS else Problem("truncated", f"only zeros in its last {zeros} bytes")
        size = member_size(header)
        if size is None:
            return Problem("format", f"no header of a file at byte {at}")
        at += BLOCK + -(-size // BLOCK) * BLOCK
    return Problem("truncated", f"data up to {at} of {sample.size} bytes")


def _ends_here(end: bytes, at: int) -> bool:
    """Tell whether a header is there whose file, filled up to a block, has only zeros behind it."""
    size = member_size(end[at : at + BLOCK])
    if size is None:
        return False
    behind = at + BLOCK + -(-size // BLOCK) * BLOCK
    return behind + 2 * BLOCK <= len(end) and not end[behind:].strip(b"\0")


def member_size(header: bytes) -> int | None:
    """Return the size of the file that a header begins; None where it is no header, by its checksum."""
    if not is_tar(header):
        return None
    stated = _octal(header[148:156])
    if stated != sum(header[:148]) + sum(header[156:BLOCK]) + 8 * ord(" "):
        return None
    size = header[124:136]
    return int.from_bytes(size[1:], "big") if size[0] & 0x80 else _octal(size)


def _octal(field: bytes) -> int | None:
    digits = field.strip(b" \0")
    return int(digits, 8) if digits.isdigit() and not digits.strip(b"01234567") else None
