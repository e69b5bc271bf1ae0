"""Files packed by xz, bzip2, zstd, lz4 or zip: whether they end where they should."""

import zlib

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.packing import zstd_end
from exporter.datastores.backups.formats.sample import Sample
from exporter.datastores.off_loop import in_thread

XZ, BZIP2, ZSTD, LZ4, ZIP = b"\xfd7zXZ\0", b"BZh", zstd_end.MAGIC, b"\x04\x22\x4d\x18", b"PK\x03\x04"
_BZIP2_END = 0x177245385090  # 48 bits, then 32 of a checksum, then up to 7 to fill the last byte
_ZIP_END, _ZIP_END_LENGTH = b"PK\x05\x06", 22
_LZ4_WINDOW = 264 * 1024
_LZ4_ZEROS = 64  # bytes: no frame ends in so many zeros, a file that was never filled does
_LZ4_BLOCKS = {4: 64 * 1024, 5: 256 * 1024, 6: 1024 * 1024, 7: 4096 * 1024}


async def packed_problem(sample: Sample, begin: int = 0) -> Problem | None:
    """Judge a file by its first bytes from `begin` on."""
    head = sample.head[begin:]
    if head.startswith(XZ):
        whole = _xz_ends(sample.tail)
    elif head.startswith(BZIP2):
        whole = _bzip2_ends(sample.tail)
    elif head.startswith(ZSTD):
        whole = await _zstd_ends(sample, begin)
    elif head.startswith(LZ4):
        whole = await _lz4_ends(sample, begin)
    else:
        whole = _zip_ends(sample)
    return None if whole else Problem("truncated", f"its packed data do not end at {sample.size} bytes")


def _xz_ends(tail: bytes) -> bool:
    """Tell whether a footer with its own checksum ends a file; zeros may follow."""
    end = len(tail.rstrip(b"\0"))
    footer = tail[max(0, end - 12) : end]
    return len(footer) == 12 and footer.endswith(b"YZ") and footer[:4] == zlib.crc32(footer[4:10]).to_bytes(4, "little")  # noqa: PLR2004 - a footer


def _bzip2_ends(tail: bytes) -> bool:
    """Tell whether the mark of the end is at its bits before the end."""
    value = int.from_bytes(tail[-12:], "big")
    return any(value >> 32 + unused & (1 << 48) - 1 == _BZIP2_END for unused in range(8))


async def _zstd_ends(sample: Sample, begin: int) -> bool:
    header = zstd_end.frame_header(sample.head, begin)
    if header is None:
        return False
    start = max(begin, sample.size - zstd_end.WINDOW)
    window = await sample.read(start, zstd_end.WINDOW)
    if start == begin:
        return await in_thread(zstd_end.whole_frames, window)
    return await in_thread(lambda: zstd_end.ends_with_blocks(window, checksum=header[1]))


async def _lz4_ends(sample: Sample, begin: int) -> bool:
    """Walk the blocks of a short file. Of a long one find its last block: it ends before the mark of the end.

    Of blocks of 1 and 4 MiB, as the program lz4 writes them, only the mark is looked at: four bytes of 0.
    """
    if not any(sample.tail[-_LZ4_ZEROS:]):
        return False
    flags, block = (*sample.head[begin + 4 : begin + 6], 0, 0)[:2]
    behind, checked = 4 * bool(flags & 4), 4 * bool(flags & 16)
    start = max(begin, sample.size - _LZ4_WINDOW)
    window = await sample.read(start, _LZ4_WINDOW)
    if start == begin:
        header = 7 + 8 * bool(flags & 8) + 4 * (flags & 1)
        return _lz4_walk(window, header, behind, checked) == len(window)
    end = len(window) - behind - 4
    if window[end : end + 4] != bytes(4):
        return False
    most = _LZ4_BLOCKS.get(block >> 4 & 7, 0)
    if most + 8 > len(window):
        return True
    return await in_thread(_lz4_block_before, window, end - checked, most)


def _lz4_walk(data: bytes, at: int, behind: int, checked: int) -> int | None:
    """Return where a frame ends whose first block is at `at`."""
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if size == 0:
            return at + behind
        at += (size & 0x7FFFFFFF) + checked
    return None


def _lz4_block_before(window: bytes, end: int, most: int) -> bool:
    """Tell whether a block with its length ends there; its highest byte is 0, or 0x80 where it is not packed."""
    for at in range(max(0, end - most - 4), end - 4):
        if window[at + 3] & 0x7F == 0:
            size = window[at] | window[at + 1] << 8 | window[at + 2] << 16
            if size == end - 4 - at:
                return True
    return False


def _zip_ends(sample: Sample) -> bool:
    """Tell whether the directory at the end, of which its last record says where it is, ends before that record."""
    at = sample.tail.rfind(_ZIP_END)
    record = sample.tail[at : at + _ZIP_END_LENGTH]
    if at < 0 or len(record) < _ZIP_END_LENGTH:
        return False
    comment = int.from_bytes(record[20:22], "little")
    size, offset = int.from_bytes(record[12:16], "little"), int.from_bytes(record[16:20], "little")
    begin = sample.size - len(sample.tail) + at
    large = 2**32 - 1 in {size, offset}  # another record, before this one, has the numbers
    return at + _ZIP_END_LENGTH + comment == len(sample.tail) and (large or size + offset <= begin)
