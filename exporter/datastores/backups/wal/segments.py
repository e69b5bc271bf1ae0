"""What lies in an archive of WAL, kept as runs of segments: a few hundred for 100,000 of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from exporter.datastores.backups.places.place import Entry
from exporter.datastores.backups.wal.names import (
    BELOW,
    HALF,
    LARGEST,
    SMALLEST,
    USUAL,
    archive_of,
    history_of,
    number_of,
    segment_of,
)

_LOW = (1 << BELOW) - 1
_COUNTS = tuple(1 << power for power in range(2, BELOW + 1))  # of segments below a half, from 1 GiB ones to 1 MiB ones
_MOST_HISTORIES = 100
_DIGITS = 24


class Run(NamedTuple):
    """Segments without a hole, from code to code; when the first and the last one were modified, as Unix time."""

    first: int
    last: int
    began: float
    ended: float


@dataclass(slots=True)
class Part:
    """The files of one archive in a stretch of a listing.

    runs: by timeline, in order. sizes: how many files have a size that a segment can have. histories: names of files,
    by timeline.
    """

    runs: dict[int, list[Run]] = field(default_factory=dict)
    bytes: int = 0
    newest: float = 0.0
    sizes: Counter[int] = field(default_factory=Counter)
    histories: dict[int, str] = field(default_factory=dict)


class Stretch(NamedTuple):
    """What was listed between two names: after the `last` of the stretch before, up to this one. files: how many."""

    last: str
    files: int
    parts: Mapping[str, Part]


def stretch(entries: Iterable[Entry], last: str, belongs: Callable[[str], bool]) -> Stretch:
    """Gather a part of a listing; an empty file is no segment: a full disk leaves such.

    belongs: whether a file of this name belongs to the set.
    """
    files: defaultdict[str, list[tuple[int, int, float]]] = defaultdict(list)
    parts: defaultdict[str, Part] = defaultdict(Part)
    count = 0
    for entry in entries:
        count += 1
        if not belongs(entry.name):
            continue
        name, archive = entry.name.rpartition("/")[2], archive_of(entry.name)
        segment = segment_of(name)
        if segment is not None and entry.bytes:
            part = parts[archive]
            files[archive].append((segment.timeline, segment.code, entry.modified))
            _count(part, name, entry)
        elif (timeline := history_of(name)) is not None:
            histories = parts[archive].histories
            if len(histories) < _MOST_HISTORIES:
                histories[timeline] = entry.name
    for archive, found in files.items():
        parts[archive].runs = _runs(found)
    return Stretch(last, count, dict(parts))


def _count(part: Part, name: str, entry: Entry) -> None:
    part.bytes += entry.bytes
    part.newest = max(part.newest, entry.modified)
    if len(name) == _DIGITS and SMALLEST <= entry.bytes <= LARGEST and entry.bytes.bit_count() == 1:
        part.sizes[entry.bytes] += 1


def _runs(files: list[tuple[int, int, float]]) -> dict[int, list[Run]]:
    runs: dict[int, list[Run]] = {}
    for timeline, code, modified in sorted(files):
        of_timeline = runs.setdefault(timeline, [])
        if of_timeline and code <= of_timeline[-1].last + 1:
            before = of_timeline[-1]
            ended = modified if code > before.last else max(before.ended, modified)
            of_timeline[-1] = before._replace(last=code, ended=ended)
        else:
            of_timeline.append(Run(code, code, modified, modified))
    return runs


def joined(parts: Iterable[Part]) -> Part:
    """Put the parts of one archive together."""
    whole = Part()
    for part in parts:
        whole.bytes += part.bytes
        whole.newest = max(whole.newest, part.newest)
        whole.sizes += part.sizes
        whole.histories |= part.histories
        for timeline, runs in part.runs.items():
            whole.runs.setdefault(timeline, []).extend(runs)
    whole.runs = {timeline: merged(sorted(runs)) for timeline, runs in whole.runs.items()}
    return whole


def merged(runs: Iterable[Run]) -> list[Run]:
    """Join runs, in order, that touch or overlap."""
    joined_runs: list[Run] = []
    for run in runs:
        if joined_runs and run.first <= joined_runs[-1].last + 1:
            before = joined_runs[-1]
            if run.last > before.last:
                joined_runs[-1] = before._replace(last=run.last, ended=run.ended)
        else:
            joined_runs.append(run)
    return joined_runs


def per_half(part: Part, others: Iterable[int] = ()) -> int:
    """Return how many segments lie below one high half.

    Files of a size that a segment can have tell it where most have it; archives may compress and keep the name. Else it
    is what leaves the fewest holes between the segments that there are: of 1 GiB ones each fourth has a new high half.
    others: codes of segments known from elsewhere.
    """
    runs = [run for of_timeline in part.runs.values() for run in of_timeline]
    if any(run.first >> BELOW != run.last >> BELOW for run in runs):
        return 1 << BELOW  # two halves touch only where the lower one is full of the smallest segments
    lows = [code & _LOW for run in runs for code in (run.first, run.last)] + [code & _LOW for code in others]
    possible = [count for count in _COUNTS if count > max(lows, default=0)]
    size, files = max(part.sizes.items(), key=lambda item: item[1], default=(USUAL, 0))
    told = HALF // size
    if told in possible and 2 * files > sum(run.last - run.first + 1 for run in runs):
        return told
    return min(possible, key=lambda count: (_holes(part, count), count != HALF // USUAL, count))


def _holes(part: Part, count: int) -> int:
    return sum(
        number_of(after.first, count) - number_of(before.last, count) - 1
        for runs in part.runs.values()
        for before, after in pairwise(runs)
    )
