"""The header and the table of contents of an archive of pg_dump, as far as they were read.

Source: src/bin/pg_dump/pg_backup_archiver.c, ReadHead and ReadToc.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.datastores.backups.times import local_time

MAGIC = b"PGDMP"
OLDEST, NEWEST = (1, 12), (1, 16)  # versions of the archive: 9.x to 18
CUSTOM = 1  # of archives in one file; a folder's toc.dat says 3, as a tar's
NOT_SET, SET = 1, 2  # states of an entry's data; without data it has another
_MOST_DEPENDENCIES = 10_000


class ArchiveFormatError(Exception):
    """It is no archive of pg_dump that is known; the message says what is wrong."""


class CutError(Exception):
    """The bytes end before what is read of them does."""


class DataEntry(NamedTuple):
    """An entry that has data: in an archive at an offset, 0 where it is not known; in a folder in a file."""

    dump_id: int
    offset: int = 0
    file: str = ""


@dataclass(frozen=True, slots=True)
class Archive:
    """What the head of an archive says.

    date: year to second, in the zone of the machine that made it. compressed: whether its data are. entries: those with
    data, in the order of their data. end: where the table of contents ends, None where it was not read to its end.
    """

    version: tuple[int, int]
    int_size: int
    kind: int
    date: tuple[int, ...]
    compressed: bool
    entries: tuple[DataEntry, ...]
    end: int | None

    def time(self, zone: ZoneInfo | None) -> float | None:
        return local_time(zone, *self.date)


class _Bytes:
    """Reads the archive's numbers and texts one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.int_size = 4

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise CutError
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        sign = self.byte()
        value = int.from_bytes(self.take(self.int_size), "little")
        return -value if sign else value

    def identifier(self) -> int:
        """Take the number of an entry, by which its data are found."""
        value = self.number()
        if value < 0:
            raise ArchiveFormatError("its table of contents has an entry with a number below 0")
        return value

    def text(self) -> bytes | None:
        length = self.number()
        return None if length < 0 else self.take(length)


def parse(data: bytes) -> Archive:
    """Read as much of an archive as its first bytes have. Raises ArchiveFormatError, CutError within the header."""
    reader = _Bytes(data)
    if reader.take(len(MAGIC)) != MAGIC:
        raise ArchiveFormatError("not an archive of pg_dump")
    version = (reader.byte(), reader.byte())
    reader.byte()  # its revision
    if not OLDEST <= version <= NEWEST:
        raise ArchiveFormatError(f"version {version[0]}.{version[1]} of the archive is not known")
    reader.int_size = reader.byte()
    offset_size = reader.byte()
    if reader.int_size not in {4, 8} or offset_size not in {4, 8}:
        raise ArchiveFormatError("its header is not one of pg_dump")
    kind = reader.byte()
    compressed = (reader.byte() if version >= (1, 15) else reader.number()) != 0
    second, minute, hour, day, month, year, _ = (reader.number() for _ in range(7))
    for _ in range(3):  # the names of the database and of the versions of server and pg_dump
        reader.text()
    count = reader.number()
    date = (year + 1900, month + 1, day, hour, minute, min(second, 59))
    entries, end = _entries(reader, version, kind, offset_size, count)
    return Archive(version, reader.int_size, kind, date, compressed, tuple(entries), end)


def _entries(
    reader: _Bytes, version: tuple[int, int], kind: int, offset_size: int, count: int
) -> tuple[list[DataEntry], int | None]:
    found: list[DataEntry] = []
    try:
        for _ in range(count):
            found.extend(_entry(reader, version, kind, offset_size))
    except CutError:
        return found, None
    return found, reader.at


def _entry(reader: _Bytes, version: tuple[int, int], kind: int, offset_size: int) -> Iterator[DataEntry]:
    """Read an entry, yield it if it has data."""
    dump_id = reader.identifier()
    reader.number()  # whether it had a dumper
    for _ in range(4):  # the object's tableoid, oid, tag and description
        reader.text()
    reader.number()  # its section
    for _ in range(5):  # its definition, how to drop and to copy it, its schema and tablespace
        reader.text()
    if version >= (1, 14):
        reader.text()  # its access method
    if version >= (1, 16):
        reader.number()  # its kind of relation
    reader.text()  # its owner
    reader.text()  # whether it has OIDs
    for _ in range(_MOST_DEPENDENCIES):
        if reader.text() is None:
            break
    if kind == CUSTOM:
        state = reader.byte()
        offset = int.from_bytes(reader.take(offset_size), "little")
        if state in {NOT_SET, SET}:
            yield DataEntry(dump_id, offset if state == SET else 0)
    else:
        file = reader.text()
        if file:
            yield DataEntry(dump_id, file=file.decode("utf-8", "surrogateescape"))
