"""What an archive of WAL is good for: the segments that are missing, and the times between which one can recover."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from exporter.datastores.backup_sets.backup import Backup, WalArchive
from exporter.datastores.backup_sets.clock import AHEAD_SECONDS
from exporter.datastores.backups.wal.names import HALF, Switch, number_of, segment_name, segment_of
from exporter.datastores.backups.wal.segments import Part, Run, merged, per_half

SETTLED_SECONDS = 60.0  # archiving in parallel may finish a segment before the one that precedes it
_CLOCKS_APART = 300.0  # seconds between the clocks of who makes backups and who stores segments
_NAMED = 10


class Branch(NamedTuple):
    """The segments of a timeline that recovery to the newest one reads: from number `first` up to below `end`."""

    timeline: int
    first: int
    end: float


class Start(NamedTuple):
    """Where the restore of a base backup begins to read: the segment's number, and when the backup was complete."""

    number: int
    time: float
    name: str


class Lineage(NamedTuple):
    """The segments on the way to the newest timeline. runs: by number, in order."""

    runs: Sequence[Run]
    branches: Sequence[Branch]
    per_half: int


def lineage_of(part: Part, ancestors: Sequence[Switch], bases: Sequence[Backup], now: float) -> Lineage:
    """Follow the newest timeline back to its first ancestor; others are abandoned.

    ancestors: of the newest timeline, as its history tells them. Without a history, lower timelines are taken for
    ancestors that end where the next one's first segment lies.
    A hole before segments that are younger than a minute is not there yet: they are left out.
    """
    starts = [segment for base in bases if (segment := segment_of(base.start_segment))]
    count = per_half(part, [segment.code for segment in starts])
    numbered = {
        timeline: [run._replace(first=number_of(run.first, count), last=number_of(run.last, count)) for run in runs]
        for timeline, runs in part.runs.items()
    }
    branches = _told(ancestors, max(numbered), count) if ancestors else _guessed(numbered)
    runs = merged(sorted(clipped for branch in branches for clipped in _clipped(numbered, branch)))
    while len(runs) > 1 and -AHEAD_SECONDS < now - runs[-1].began < SETTLED_SECONDS:
        runs.pop()
    return Lineage(runs, branches, count)


def _told(ancestors: Sequence[Switch], newest: int, count: int) -> list[Branch]:
    size = HALF // count
    branches, begin = [], 0
    for ancestor in ancestors:
        end = ancestor.position // size
        branches.append(Branch(ancestor.timeline, begin, end))
        begin = end
    return [*branches, Branch(newest, begin, float("inf"))]


def _guessed(numbered: dict[int, list[Run]]) -> list[Branch]:
    branches: list[Branch] = []
    end = float("inf")
    for timeline in sorted(numbered, reverse=True):
        first = numbered[timeline][0].first
        if first < end:
            branches.append(Branch(timeline, first, end))
            end = first
    return branches[::-1]


def _clipped(numbered: dict[int, list[Run]], branch: Branch) -> list[Run]:
    return [
        run._replace(first=max(run.first, branch.first), last=int(min(run.last, branch.end - 1)))
        for run in numbered.get(branch.timeline, [])
        if run.last >= branch.first and run.first < branch.end
    ]


def starts_on(lineage: Lineage, bases: Sequence[Backup]) -> list[Start]:
    """Return where the restores of base backups begin; those on abandoned timelines are left out."""
    found = []
    for base in bases:
        segment = segment_of(base.start_segment)
        if segment is None:
            continue
        number = number_of(segment.code, lineage.per_half)
        if any(branch.timeline == segment.timeline and number <= branch.end for branch in lineage.branches):
            found.append(Start(number, base.time, base.name))
    return found


def lost(lineage: Lineage, starts: Sequence[Start]) -> list[Start]:
    """Return the base backups whose first segment is not there, while later ones are."""
    return [
        start
        for start in starts
        if lineage.runs
        and start.number <= lineage.runs[-1].last
        and not any(run.first <= start.number <= run.last for run in lineage.runs)
    ]


def judged(part: Part, lineage: Lineage, starts: Sequence[Start] | None, wanted: float | None) -> WalArchive:
    """Judge an archive.

    starts: None where nothing is known of base backups; then the window is the last unbroken run, and gaps count from
    the oldest segment on. Else they count from the oldest base backup on, or from the newest one made before `wanted`,
    the time back to which recovery must be possible.
    The window is that of the newest unbroken run in which a base backup begins: from the end of the oldest of these
    backups until the last segment was archived.
    """
    segments = sum(
        number_of(run.last, lineage.per_half) - number_of(run.first, lineage.per_half) + 1
        for runs in part.runs.values()
        for run in runs
    )
    gaps, missing = _missing(lineage, _needed_from(lineage, starts, wanted))
    begin, until = _window(lineage.runs, starts)
    return WalArchive(segments, part.bytes, gaps, missing, begin, until)


def _needed_from(lineage: Lineage, starts: Sequence[Start] | None, wanted: float | None) -> int | None:
    if starts is None:
        return lineage.runs[0].first if lineage.runs else None
    enough = [start.number for start in starts if wanted is not None and start.time <= wanted]
    return max(enough) if enough else min((start.number for start in starts), default=None)


def _missing(lineage: Lineage, begin: int | None) -> tuple[int, tuple[str, ...]]:
    gaps, names = 0, list[str]()
    if begin is None:
        return gaps, ()
    expected = begin
    for run in lineage.runs:
        if run.last < begin:
            continue
        if run.first > expected:
            gaps += run.first - expected
            names += [_name(lineage, number) for number in islice(range(expected, run.first), _NAMED - len(names))]
        expected = max(expected, run.last + 1)
    return gaps, tuple(names)


def _name(lineage: Lineage, number: int) -> str:
    later = (branch.timeline for branch in lineage.branches if number < branch.end)
    return segment_name(next(later), number, lineage.per_half)


def _window(runs: Sequence[Run], starts: Sequence[Start] | None) -> tuple[float | None, float | None]:
    if starts is None and runs:
        return runs[-1].began, runs[-1].ended
    for run in reversed(runs):
        ends = [
            start.time
            for start in starts or ()
            if run.first <= start.number <= run.last and start.time <= run.ended + _CLOCKS_APART
        ]
        if ends:
            return min(ends), max(run.ended, min(ends))
    return None, None
