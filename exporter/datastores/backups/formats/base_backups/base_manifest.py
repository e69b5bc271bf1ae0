"""The manifest of a base backup: its files and sizes, and where its restore begins to read WAL.

Source: https://www.postgresql.org/docs/current/backup-manifest-format.html; the server writes one file a line.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from exporter.datastores.backups.wal.names import position_of

_CHECKSUM = re.compile(rb'^"Manifest-Checksum": "([0-9a-f]{64})"}\s*\Z', re.MULTILINE)
_RANGE = re.compile(
    rb'\{ "Timeline": (\d{1,10}), "Start-LSN": "([0-9A-F]{1,8}/[0-9A-F]{1,8})", "End-LSN": "([0-9A-F/]{3,17})" \}'
)
_SYSTEM = re.compile(rb'^"System-Identifier": (\d{1,20}),', re.MULTILINE)
_HEAD = b'{ "PostgreSQL-Backup-Manifest-Version": '
_LAST_FILE = "global/pg_control"  # that the server sends
_FIRST_FILE = "backup_label"
TAIL = 4096


class Start(NamedTuple):
    """Where a restore begins to read WAL."""

    timeline: int
    position: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest tells. sound: it ends with its checksum, and that is right; None where it was not read whole.

    files: sizes by path. began, ended: Unix time.
    """

    sound: bool | None
    files: Mapping[str, int]
    start: Start | None
    system: int | None
    began: float | None = None
    ended: float | None = None


def is_manifest(head: bytes) -> bool:
    return head.startswith(_HEAD)


def of_ends(head: bytes, tail: bytes) -> Manifest:
    """Return what the begin and the end of a manifest too large to be read tell."""
    ends = _CHECKSUM.search(tail) is not None
    return Manifest(None if ends else False, {}, _start(tail), _system(head))


def parse_manifest(content: bytes) -> Manifest:
    """Parse a manifest; a line that cannot be read is left out, then the checksum is wrong, too."""
    files: dict[str, int] = {}
    times: dict[str, float | None] = {}
    for line in content.split(b"\n"):
        if not line.startswith(b"{ ") or b'"Size"' not in line:
            continue
        path, size, modified = _file(line)
        if path is None or size is None:
            continue
        files[path] = size
        if path in {_FIRST_FILE, _LAST_FILE}:
            times[path] = _time(modified)
    return Manifest(
        _sound(content), files, _start(content[-TAIL:]), _system(content[:TAIL]),
        times.get(_FIRST_FILE), times.get(_LAST_FILE),
    )  # fmt: skip


def _sound(content: bytes) -> bool:
    found = _CHECKSUM.search(content, max(0, len(content) - TAIL))
    return found is not None and hashlib.sha256(content[: found.start()]).hexdigest().encode() == found[1]


def _file(line: bytes) -> tuple[str | None, int | None, object]:
    try:
        value = json.loads(line.rstrip(b", "))
        encoded = value.get("Encoded-Path")
        path = bytes.fromhex(encoded).decode(errors="surrogateescape") if isinstance(encoded, str) else value["Path"]
        size = value["Size"]
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None, None, None
    known = isinstance(path, str) and isinstance(size, int)
    return (path, size, value.get("Last-Modified")) if known else (None, None, None)


def _time(text: object) -> float | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _start(tail: bytes) -> Start | None:
    """Return the begin of the first range: a backup of a replica may reach over a switch of timelines."""
    ranges = [(position_of(found[2].decode()), int(found[1])) for found in _RANGE.finditer(tail)]
    return min((Start(timeline, position) for position, timeline in ranges if position is not None),
               key=lambda start: start.position, default=None)  # fmt: skip


def _system(head: bytes) -> int | None:
    found = _SYSTEM.search(head)
    return int(found[1]) if found else None
