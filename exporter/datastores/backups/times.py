"""When a backup was made: from its name, else from its header, else from the time of its modification."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backup_sets.clock import AHEAD_SECONDS, clock_problem
from exporter.datastores.backups.places.place import Entry

_HOUR = 3600.0
_ZONES = 14 * _HOUR  # no zone is further from UTC
_DAY = 24 * _HOUR
_YEARS = range(1990, 2200)

# 20261130, 2026-11-30T02-14-00Z, 2026_11_30_0214, 2026/11/30/x; what follows a time must not make it another number.
_STAMP = re.compile(
    r"(?<!\d)(?P<year>\d{4})(?P<by>[-_./]?)(?P<month>\d\d)(?P=by)(?P<day>\d\d)"
    r"(?:(?P<t>[-_T. ]?)(?P<hour>\d\d)[-_:.]?(?P<minute>\d\d)(?:[-_:.]?(?P<second>\d\d))?"
    r"(?:(?P<utc>Z|UTC|GMT)(?![A-Za-z])|(?P<sign>[-+])(?P<zone_hour>\d\d):?(?P<zone_minute>\d\d))?(?!\d))?(?!\d)",
    re.ASCII | re.IGNORECASE,
)


class Made(NamedTuple):
    """When a backup was made, as Unix time, and what is wrong with that."""

    time: float
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time written in a name; without one of day, `time` is the begin of the day."""

    time: float
    whole_day: bool


def made(entry: Entry, now: float, zone: ZoneInfo | None, header: float | None = None) -> Made:
    """Return when a file's backup was made.

    A name or a header that is ahead of the modification by no more than zones can be is of another zone: the
    modification counts. So it does in a name with a date only, where it lies about that day. What lies in the future by
    more than that, or with the modification, is a clock that is wrong: its time is then the modification, or now.
    """
    stamp = stamp_in(entry.name, zone)
    modified = entry.modified
    if stamp is not None and stamp.whole_day and stamp.time - _ZONES <= modified <= stamp.time + _DAY + _ZONES:
        claimed = modified
    else:
        claimed = stamp.time if stamp is not None else modified if header is None else header
    if AHEAD_SECONDS < claimed - modified <= _ZONES + AHEAD_SECONDS:
        claimed = modified
    problem = clock_problem(claimed, now)
    return Made(claimed if problem is None else min(modified, now), problem)


def stamp_in(name: str, zone: ZoneInfo | None) -> Stamp | None:
    """Return the time in a name: the first one of its last segment, else the last one of its folders.

    zone: of times without one; None is the exporter's own.
    """
    inside = next(_stamps(name.rpartition("/")[2], zone), None)
    return inside or next(iter([*_stamps(name, zone)][::-1]), None)


def local_time(zone: ZoneInfo | None, *fields: int) -> float | None:
    """Return year, month, day, hour … as Unix time; None where there is no such time."""
    try:
        return datetime(*fields, tzinfo=zone).timestamp()  # type: ignore[arg-type,misc]  # six numbers at most
    except (ValueError, OverflowError):
        return None


def _stamps(name: str, zone: ZoneInfo | None) -> Iterator[Stamp]:
    for match in _STAMP.finditer(name):
        part = match.groupdict()
        day = (int(part["year"]), int(part["month"]), int(part["day"]))
        clock = tuple(int(part[unit] or 0) for unit in ("hour", "minute", "second"))
        if day[0] not in _YEARS:
            continue
        time = _at(day, clock, match, zone) if part["hour"] else None
        if time is not None:
            yield Stamp(time, whole_day=False)
        elif (begin := local_time(zone, *day)) is not None:
            yield Stamp(begin, whole_day=True)


def _at(day: tuple[int, ...], clock: tuple[int, ...], match: re.Match[str], zone: ZoneInfo | None) -> float | None:
    """Return the time of a stamp; a minus begins an offset only where a T begins the time, else it is a hyphen."""
    if match["utc"]:
        return _fixed(timedelta(), *day, *clock)
    if match["sign"] and (match["sign"] == "+" or match["t"].upper() == "T"):
        offset = timedelta(hours=int(match["zone_hour"]), minutes=int(match["zone_minute"]))
        return _fixed(offset if match["sign"] == "+" else -offset, *day, *clock)
    return local_time(zone, *day, *clock)


def _fixed(offset: timedelta, *fields: int) -> float | None:
    try:
        return datetime(*fields, tzinfo=timezone(offset)).timestamp()  # type: ignore[arg-type,misc]  # six numbers
    except (ValueError, OverflowError):
        return None
