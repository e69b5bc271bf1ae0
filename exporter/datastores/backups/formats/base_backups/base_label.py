"""The `backup_label` of a base backup: which segment its restore begins with, and what an incremental one builds on."""

import re
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from exporter.datastores.backups.formats.base_backups.base_manifest import Start
from exporter.datastores.backups.places.place import Entry, GoneError, Place
from exporter.datastores.backups.wal.names import position_of, segment_of

_BYTES = 4096
_PACKED = 16 * 1024  # bytes that are read of an archive packed with gzip, whose first member the label is
_SEGMENT = re.compile(r"^START WAL LOCATION: \S{3,17} \(file ([0-9A-F]{24})\)$", re.MULTILINE)
_FROM = re.compile(
    r"^INCREMENTAL FROM LSN: ([0-9A-F/]{3,17})\nINCREMENTAL FROM TLI: (\d{1,10})$", re.MULTILINE | re.IGNORECASE
)
_BLOCK = 512


class Label(NamedTuple):
    """What a label tells. segment: empty where it does not say. builds_on: where the backup that it builds on began."""

    segment: str = ""
    builds_on: Start | None = None


def parse_label(text: str) -> Label:
    segment, origin = _SEGMENT.search(text), _FROM.search(text)
    position = position_of(origin[1]) if origin else None
    return Label(
        segment[1] if segment and segment_of(segment[1]) else "",
        Start(int(origin[2]), position) if origin and position is not None else None,
    )


async def label_of(place: Place, folder: str, files: Mapping[str, Entry]) -> Label:
    """Read the label of a backup in a folder; in tar archives packed with zstd or lz4 it stays unknown."""
    content = b""
    with suppress(GoneError):
        if "backup_label" in files:
            content = await place.read(f"{folder}backup_label", 0, _BYTES)
        elif "base.tar" in files:
            content = _first_member(await place.read(f"{folder}base.tar", 0, _BYTES))
        elif "base.tar.gz" in files:
            packed = await place.read(f"{folder}base.tar.gz", 0, _PACKED)
            with suppress(zlib.error):
                content = _first_member(zlib.decompressobj(wbits=31).decompress(packed, _BYTES))
    return parse_label(content.decode(errors="replace"))


def _first_member(head: bytes) -> bytes:
    with suppress(tarfile.HeaderError):
        member = tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "replace")
        if member.name == "backup_label" and 0 <= member.size <= _BYTES:
            return head[_BLOCK : _BLOCK + member.size]
    return b""
