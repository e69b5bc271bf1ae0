"""Custom archives of pg_dump made by hand, with as many tables of as many bytes as a test wants."""

from collections.abc import Sequence
from typing import NamedTuple

from exporter.datastores.backups.formats.pg_dump.blocks import DATA, head_of, number

CHUNK = 4096


class Made(NamedTuple):
    """An archive, where its table of contents ends, and where the data of each table do."""

    data: bytes
    toc_end: int
    ends: Sequence[int]


def text(value: str) -> bytes:
    return number(len(value), 4) + value.encode()


def header(count: int, version: tuple[int, int] = (1, 16)) -> bytes:
    begin = b"PGDMP" + bytes([*version, 0, 4, 8, 1, 1])
    date = b"".join(number(value, 4) for value in (7, 14, 2, 1, 0, 126, 0))  # 2026-01-01 02:14:07
    return begin + date + text("apex") + text("18.6") + text("18.6") + number(count, 4)


def entry(dump_id: int, offset: int | None, padding: int = 0) -> bytes:
    """Return an entry of a table's data; without an offset as through a pipe. padding: of its definition."""
    absent = b"\1" + (1).to_bytes(4, "little")
    texts = text("1") + text("2") + text("orders") + text("TABLE DATA") + number(3, 4) + text(" " * padding)
    rest = absent * 5 + number(114, 4) + text("postgres") + text("false") + absent
    where = bytes([1]) + bytes(8) if offset is None else bytes([2]) + offset.to_bytes(8, "little")
    return number(dump_id, 4) + number(1, 4) + texts + rest + where


def block(dump_id: int, content: bytes) -> bytes:
    chunks = (content[at : at + CHUNK] for at in range(0, len(content), CHUNK))
    return head_of(DATA, dump_id, 4) + b"".join(number(len(chunk), 4) + chunk for chunk in chunks) + number(0, 4)


def archive(contents: Sequence[bytes], *, piped: bool = False, padding: int = 0) -> Made:
    toc_end = len(header(len(contents))) + sum(len(entry(1, 1, padding)) for _ in contents)
    data, offsets, ends = b"", [], []
    for dump_id, content in enumerate(contents, 100):
        offsets.append(toc_end + len(data))
        data += block(dump_id, content)
        ends.append(toc_end + len(data))
    entries = (entry(dump_id, None if piped else at, padding) for dump_id, at in enumerate(offsets, 100))
    return Made(header(len(contents)) + b"".join(entries) + data, toc_end, ends)
