"""Whether a stream of deflate, as in gzip, ends where its last bytes do: found by decoding its last blocks.

A stream has no mark at its end, but each of its blocks begins with the description of its codes, of which almost no
other bytes are a valid one. The decoder starts at the first place that is one, whatever the bits before it, and goes on
to the end: only of a whole stream does it see the last block end, exactly before the eight bytes of gzip's trailer.
"""

import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Literal

_DICTIONARY = bytes(32_768)  # stands for the text before, which a block may refer to
_PIECE = 64 * 1024  # bytes of text that are decoded at once
_TRIED = 256  # bytes that most places fail to decode as a block
_PROOF = 2_048  # bytes that decode without an error: it was a block

# The three bits of a block of dynamic codes, the last one or not, and how many codes it has: 5 bits, 5 bits, 4 bits.
_DYNAMIC = 0b100
_MOST_CODES = 29  # more of them than the first 257, and than the first 1
_FIRST = bytes(byte for byte in range(256) if byte & 0b110 == _DYNAMIC and byte >> 3 <= _MOST_CODES)
_SECOND = bytes(byte for byte in range(256) if byte & 0b11111 <= _MOST_CODES)
_BLOCK = re.compile(b"(?=[" + re.escape(_FIRST) + b"][" + re.escape(_SECOND) + b"])", re.DOTALL)
# Blocks of fixed codes, and how many bits they are: one of nothing, and one of a single literal of nine bits.
_EMPTY = (0b0000000_01_0, 10)
_ONE_LITERAL = (0b0000000_000010011_01_0, 19)
_MOST_STORED = 1_000  # places that look like the begin of a block that is not packed
_SHARES = bytes(0 if length == 0 else 128 >> length for length in range(8))  # of the space of codes, in 128ths

End = Literal["whole", "cut", "more", "unknown"]


def deflate_end(window: bytes, trailer: int) -> End:
    """Decode the last blocks of a stream, of which `trailer` bytes follow.

    more: there are further bytes behind it. unknown: no block begins within the window.
    """
    stored, proven = _stored_end(window, trailer)
    if proven:  # first: the text of such a stream may be packed itself, and its blocks are not those of the stream
        return stored
    found: End | None = None
    for bit in range(8):
        shifted = window if bit == 0 else (int.from_bytes(window, "little") >> bit).to_bytes(len(window), "little")
        for at in _blocks(shifted):
            if not _decodes(_first_bits(window[at : at + _TRIED], bit)):
                continue
            end = _decoded(_first_bits(window[at:], bit), trailer)
            if end in {"whole", "cut"}:
                return end
            found = found or end
    return found or stored


def _blocks(data: bytes) -> Iterator[int]:
    """Return where a block may begin: the lengths of the codes that describe its codes fill their space."""
    for match in _BLOCK.finditer(data):
        at = match.start()
        bits = int.from_bytes(data[at + 1 : at + 10], "little") >> 5
        count = (bits & 15) + 4
        bits = bits >> 4 & (1 << 3 * count) - 1
        shares = 0
        while bits:
            shares += _SHARES[bits & 7]
            bits >>= 3
        if shares == 128:  # noqa: PLR2004 - all of it
            yield at


def _decodes(data: bytes) -> bool:
    try:
        zlib.decompressobj(-15, _DICTIONARY).decompress(data, _PIECE)
    except zlib.error:
        return False
    return True


def _first_bits(data: bytes, bit: int) -> bytes:
    """Return the data from this bit on, the rest of the byte filled with blocks that mean nothing.

    So the bytes behind the stream keep their place, which they would lose if its bits were shifted.
    """
    filled, count = 0, 0
    if bit % 2:
        filled, count = _ONE_LITERAL
    while count % 8 != bit:
        filled |= _EMPTY[0] << count
        count += _EMPTY[1]
    filled |= (data[0] >> bit) << count
    return filled.to_bytes((count + 8 - bit) // 8, "little") + data[1:]


def _decoded(data: bytes, trailer: int) -> End | None:
    """Decode from a block's begin to the end; None where it is none."""
    try:
        rest = _rest_behind(data, -15, _DICTIONARY)
    except zlib.error:
        return None
    if rest is None:
        return "cut" if len(data) >= _PROOF else None
    return _behind(rest, trailer, proven=len(data) - len(rest) >= _PROOF)


def _behind(rest: bytes, trailer: int, *, proven: bool) -> End | None:
    if len(rest) == trailer:
        return "whole"
    if not proven:
        return None
    if len(rest) < trailer:
        return "cut"
    return members_end(rest[trailer:])


def members_end(rest: bytes) -> End:
    """Unpack whole files of gzip, one after the other, as far as they are there; zlib compares their checksums."""
    while rest:
        if not rest.startswith(b"\x1f\x8b"[: len(rest)]):
            return "more"
        try:
            behind = _rest_behind(rest, 31)
        except zlib.error:
            return "cut"
        if behind is None:
            return "cut"
        rest = behind
    return "whole"


def _rest_behind(data: bytes, wbits: int, dictionary: bytes = b"") -> bytes | None:
    """Decode a stream piece by piece; return what follows its end, None where it has none. Raises zlib.error."""
    decoder = zlib.decompressobj(wbits, dictionary)
    while data and not decoder.eof:
        decoder.decompress(data, _PIECE)
        data = decoder.unconsumed_tail
    return decoder.unused_data if decoder.eof else None


def _stored_end(window: bytes, trailer: int) -> tuple[End, bool]:
    """Find the last blocks where they are not packed, as where the text is random: a length, and its complement.

    Returns also whether that is proven: by chance, one of 2^16 places looks like such a length.
    """
    end, guess = len(window) - trailer, False
    for at, length in islice(_stored(window[:end]), _MOST_STORED):
        behind = at + 4 + length
        guess = guess or behind == end
        if behind < end:
            found = _decoded(window[behind:], trailer)
            if found is None and window[behind] <= 1 and _stored_at(window, behind + 1) is not None:
                found = "cut"  # the next one is a block that is not packed either, and does not end
            if found is not None:
                return found, True
    return "whole" if guess else "unknown", False


def _stored(data: bytes) -> Iterator[tuple[int, int]]:
    """Return where blocks may be that are not packed, and their lengths."""
    size = max(0, len(data) - 2)
    sums = (int.from_bytes(data[:-2]) ^ int.from_bytes(data[2:])).to_bytes(size)  # of each byte and the next but one
    at = sums.find(b"\xff\xff")
    while at >= 0:
        if length := _stored_at(data, at):
            yield at, length
        at = sums.find(b"\xff\xff", at + 1)


def _stored_at(data: bytes, at: int) -> int | None:
    """Return the length of a block that is not packed, of which the complement follows; None where there is none."""
    length = data[at] | data[at + 1] << 8 if at + 4 <= len(data) else 0
    return length if length and length ^ 0xFFFF == data[at + 2] | data[at + 3] << 8 else None
