"""The blocks of data of a custom archive of pg_dump: where a block begins, and whether one ends where the file does.

A block is a byte for its type, its entry's number, and chunks: a number for its length, so many bytes. A chunk
of length 0 ends the data; large objects each begin with their OID, and end with OID 0.
Source: src/bin/pg_dump/pg_backup_custom.c.
"""

DATA, LARGE_OBJECTS = 1, 3
_MOST_EMPTY = 10_000  # large objects without a chunk that are passed over, one after the other


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
    if not data.endswith(zero):
        return False
    end = len(data) - len(zero)
    if _chunk_before(data, end, int_size):
        return True
    for _ in range(_MOST_EMPTY):  # that was the end of all large objects: before it lies the end of one
        if not data.endswith(zero, 0, end):
            return False
        end -= len(zero)
        if _chunk_before(data, end, int_size):
            return True
        if data[end - len(zero) : end - len(zero) + 1] != b"\0":
            return False
        end -= len(zero)  # the OID of one without a chunk
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
        if length > 0 and data[at - int_size] == 0 and number(length, int_size) == data[at - int_size : at + 1]:
            return True
        at = data.rfind(b"\0", 0, at)
    return False
