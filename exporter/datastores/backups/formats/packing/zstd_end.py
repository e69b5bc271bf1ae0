"""Whether a file of zstd ends with the last block of a frame.

Of a short file every block is walked. Of a long one the end is: a block's header tells its length, so the last one is
where its length fits the file's end, and the one before it likewise, up to six of them. What was cut fits by accident
only: about one of 10^5 cuts of a file of very short blocks, such as a dump of Neo4j that is mostly zeros, else fewer.
Source: RFC 8878.
"""

from collections.abc import Iterator

MAGIC = b"\x28\xb5\x2f\xfd"
WINDOW = 264 * 1024  # bytes: two of the largest blocks
_MOST_BLOCK = 128 * 1024
_HIGH = 16  # the highest byte of a header, of a length of 128 KiB
_PROOF = 6  # blocks, one before the other
_RAW, _RLE, _COMPRESSED = 0, 1, 2
_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte 0x50 to 0x5f


def frame_header(data: bytes, at: int = 0) -> tuple[int, bool] | None:
    """Return the length of a frame's header and whether a checksum ends the frame; None where there is no frame."""
    if not data.startswith(MAGIC, at) or len(data) < at + 5:
        return None
    descriptor = data[at + 4]
    single = bool(descriptor & 32)
    length = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6]
    return length, bool(descriptor & 4)


def whole_frames(data: bytes) -> bool:
    """Tell whether the data are frames up to their end."""
    at = 0
    while at < len(data):
        if data[at + 1 : at + 4] == _SKIPPABLE and data[at] >> 4 == 5:  # noqa: PLR2004 - 0x50 to 0x5f
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        end = _end_of_frame(data, at)
        if end is None:
            return False
        at = end
    return at == len(data) and at > 0


def ends_with_blocks(window: bytes, *, checksum: bool) -> bool:
    """Tell whether the last blocks of a frame, and its checksum if it has one, end the window."""
    heads = _heads(window)
    ends = {len(window) - 4 * checksum: 0}  # where blocks end, and how many are known to follow there
    last = 1
    while ends:
        before: dict[int, int] = {}
        for end, known in ends.items():
            before |= {at: known + fits for at, fits in _blocks_before(window, heads, end, last)}
        if any(n >= (2 if at <= _MOST_BLOCK + 3 else _PROOF) or _begins_frame(window, at) for at, n in before.items()):
            return True
        ends, last = before, 0
    return False


def _end_of_frame(data: bytes, at: int) -> int | None:
    header = frame_header(data, at)
    if header is None:
        return None
    at += header[0]
    while at + 3 <= len(data):
        block = int.from_bytes(data[at : at + 3], "little")
        at += 3 + (1 if block >> 1 & 3 == _RLE else block >> 3)
        if block & 1:
            at += 4 * header[1]
            return at if at <= len(data) else None
    return None


def _heads(window: bytes) -> dict[int, list[int]]:
    """Return where blocks would end, if headers were everywhere: by the end, where their headers would be."""
    heads: dict[int, list[int]] = {}
    whole = len(window)
    for at, (low, middle, high) in enumerate(zip(window, window[1:], window[2:], strict=False)):
        if high <= _HIGH:
            end = at + 3 + (low >> 3 | middle << 5 | high << 13)
            if end <= whole:
                heads.setdefault(end, []).append(at)
    return heads


def _blocks_before(window: bytes, heads: dict[int, list[int]], end: int, last: int) -> Iterator[tuple[int, int]]:
    """Return where the header of a block may be that ends there, and 1 if its length says so, not its kind alone."""
    for at in heads.get(end, ()):
        kind = window[at] >> 1 & 3
        if window[at] & 1 == last and (kind == _RAW or (kind == _COMPRESSED and _literals_fit(window[at + 3 : end]))):
            yield at, 1
    if end >= 4 and window[end - 4] & 7 == last | _RLE << 1 and window[end - 2] <= _HIGH:  # noqa: PLR2004
        yield end - 4, 0


def _literals_fit(block: bytes) -> bool:
    """Tell whether a compressed block's first part, its literals, is within the block and no longer than one."""
    if len(block) < 3:  # noqa: PLR2004 - the shortest one
        return False
    field = int.from_bytes(block[:5], "little")
    kind, form = field & 3, field >> 2 & 3
    if kind <= 1:
        width = {1: 12, 3: 20}.get(form, 5)
        size = field >> (3 if width == 5 else 4) & (1 << width) - 1  # noqa: PLR2004
        head = {12: 2, 20: 3}.get(width, 1)
        return size <= _MOST_BLOCK and head + (size if kind == 0 else 1) < len(block)
    width = {2: 14, 3: 18}.get(form, 10)
    size, packed = field >> 4 & (1 << width) - 1, field >> 4 + width & (1 << width) - 1
    return size <= _MOST_BLOCK and {10: 3, 14: 4, 18: 5}[width] + packed < len(block)


def _begins_frame(window: bytes, at: int) -> bool:
    """Tell whether a frame's header ends there, so that there is no block before."""
    for length in range(6, 19):
        header = frame_header(window, at - length) if at >= length else None
        if header is not None and header[0] == length:
            return True
    return False
