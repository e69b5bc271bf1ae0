"""Names of files in an archive of PostgreSQL's write-ahead log (WAL), and the arithmetic of segments.

A segment is 24 hex digits: its timeline, the high half of its position, and its number below that. How many there are
below one high half depends on the size of segments: 256 of 16 MiB, from 4 of 1 GiB to 4096 of 1 MiB.
"""

import re
from typing import NamedTuple

BELOW = 12  # bits: so many segments of the smallest size lie below one high half
SMALLEST, USUAL, LARGEST = 2**20, 16 * 2**20, 2**30  # bytes of a segment
HALF = 2**32  # bytes below one high half

# After the digits: pgBackRest's checksum, then endings such as .gz or .lz4.gpg; wal-g's `_delta` is no segment.
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(-[0-9a-f]{40})?((?:\.[a-z0-9]{1,8}){0,3})")
_NO_SEGMENT = re.compile(r"\.(partial|backup|history|tmp|temp|part|ready|done|[0-9a-f]{8})(\.|$)", re.IGNORECASE)
_HISTORY = re.compile(r"([0-9A-F]{8})\.history(\.gz)?")
_ARCHIVE = re.compile(r"(?:^|/)\d{1,2}(?:\.\d)?-\d{1,6}(?=/[0-9A-F]{16}/[^/]*$|/[^/]*\.history$)")
_SWITCH = re.compile(r"\s*(\d{1,10})\s+([0-9A-F]{1,8})/([0-9A-F]{1,8})(\s|$)", re.IGNORECASE)


class Segment(NamedTuple):
    """A segment: `code` grows with the position, whatever the size of segments is."""

    timeline: int
    code: int


class Switch(NamedTuple):
    """The end of a timeline, as a position in bytes, where its child begins."""

    timeline: int
    position: int


def segment_of(name: str) -> Segment | None:
    """Return the segment that a file holds; None for one that holds none, or only a part of it."""
    found = _SEGMENT.fullmatch(name)
    if found is None or _NO_SEGMENT.search(found[5]):
        return None
    timeline, high, low = (int(found[group], 16) for group in (1, 2, 3))
    return Segment(timeline, high << BELOW | low) if timeline and low < 1 << BELOW else None


def history_of(name: str) -> int | None:
    """Return the timeline whose history a file tells."""
    found = _HISTORY.fullmatch(name)
    return int(found[1], 16) if found else None


def archive_of(name: str) -> str:
    """Return the folder of the archive that a file lies in, as `demo/15-1` of pgBackRest; other tools have but one."""
    found = _ARCHIVE.search(name)
    return name[: found.end()] if found else ""


def segment_name(timeline: int, number: int, per_half: int) -> str:
    high, low = divmod(number, per_half)
    return f"{timeline:08X}{high:08X}{low:08X}"


def number_of(code: int, per_half: int) -> int:
    """Return the place of a segment in the order of all, from 0 on, without holes."""
    return (code >> BELOW) * per_half + (code & (1 << BELOW) - 1)


def name_at(timeline: int, position: int) -> str:
    """Return the name of the segment, of the usual size, that holds a position."""
    return segment_name(timeline, position // USUAL, HALF // USUAL)


def position_of(lsn: object) -> int | None:
    """Read a position such as 0/2000028."""
    found = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", lsn) if isinstance(lsn, str) else None
    return int(found[1], 16) << 32 | int(found[2], 16) if found else None


def switches(history: str) -> list[Switch]:
    """Read a timeline's history: its ancestors, the oldest first."""
    found = (_SWITCH.match(line) for line in history.splitlines())
    return [Switch(int(one[1]), int(one[2], 16) << 32 | int(one[3], 16)) for one in found if one]
