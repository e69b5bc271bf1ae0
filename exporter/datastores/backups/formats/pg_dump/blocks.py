"""The blocks of data of a custom archive of pg_dump: where a block begins, and whether one ends where the file does.

A block is a byte for its type, its entry's number, and chunks: a number for its length, so many bytes. A chunk
of length 0 ends the data; large objects each begin with their OID, and end with OID 0.
Source: src/bin/pg_dump/pg_backup_custom.c.
"""

DATA, LARGE_OBJECTS = 1, 3
_INT = 4  # bytes of a number on every machine of today
_TRIES = 8  # ends of large objects without a chunk before which a chunk is looked for, the last one aside


def number(value: int, int_size: int) -> bytes:
    """Return a number as archives have it: a byte for its sign, then its bytes, the lowest first."""
    return b"\0" + value.to_bytes(int_size, "little")


def head_of(kind: int, dump_id: int, int_size: int) -> bytes:
    return bytes([kind]) + number(dump_id, int_size)


def begins_block(data: bytes, at: int, dump_id: int, int_size: int) -> bool:
    """Tell whether an entry's block begins there."""
    return any(data.startswith(head_of(kind, dump_id, int_size), at) for kind in (DATA, LARGE_OBJECTS))


def end_of_block(data: bytes, at: int, int_size: int) -> int | None:
    """Return where a block ends that begins at `at`; None where it does not end within the data."""
    large_objects = data[at] == LARGE_OBJECTS
    at += 2 + int_size
    while (value := _number(data, at, int_size)) is not None:
        at += 1 + int_size
        if large_objects:  # the number is an OID, its chunks follow
            if value == 0:
                return at
            after = _end_of_chunks(data, at, int_size)
        else:
            return _end_of_chunks(data, at - 1 - int_size, int_size)
        if after is None:
            return None
        at = after
    return None


def ends_with_chunk(data: bytes, int_size: int) -> bool:
    """Tell whether the last bytes of a file are the end of a block.

    A chunk ends there whose length is the one written before it. In a file that was cut elsewhere, bytes would have to
    say so by accident: about one of 10^7 cuts of compressed data, no cut of texts.
    """
    zero = number(0, int_size)
    end = len(data) - len(zero)
    if not data.endswith(zero) or _chunk_before(data, end, int_size):
        return data.endswith(zero)
    tries = _TRIES
    while data.endswith(zero, 0, end):  # that was the end of all large objects: here is the end of one
        end -= len(zero)
        oid = _number(data, end - len(zero), int_size) if end > len(zero) else None
        empty = bool(oid) and data.endswith(zero, 0, end - len(zero))  # it has no chunk, and another is before it
        if (tries or not empty) and _chunk_before(data, end, int_size):
            return True
        if not empty:
            return False
        tries = max(0, tries - 1)
        end -= len(zero)
    return False


def _end_of_chunks(data: bytes, at: int, int_size: int) -> int | None:
    while (length := _number(data, at, int_size)) is not None:
        at += 1 + int_size
        if length == 0:
            return at
        at += length
    return None


def _number(data: bytes, at: int, int_size: int) -> int | None:
    """Return a number that is not negative, None where there is none."""
    field = data[at : at + 1 + int_size]
    if len(field) <= int_size or field[0]:
        return None
    return int.from_bytes(field[1:], "little")


def _chunk_before(data: bytes, end: int, int_size: int) -> bool:
    """Tell whether a chunk with its length ends at `end`.

    The highest byte of a length is 0, as chunks are shorter than 16 MiB: only such places are tried.
    """
    at = data.rfind(b"\0", 0, end)
    while at >= int_size:
        length = end - at - 1
        high = length >> 16 if int_size == _INT else 0  # most places differ in this byte
        if length and data[at - 1] == high and number(length, int_size) == data[at - int_size : at + 1]:
            return True
        at = data.rfind(b"\0", 0, at)
    return False
