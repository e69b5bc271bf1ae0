"""Statements that are slow each time they run, even if they run seldom."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from pydantic import Field

from exporter.datastores.accumulators import Deltas, TopMembers, WindowSums
from exporter.datastores.postgres.operations.statement_entries import (
    CALLS,
    SECONDS,
    Entries,
    EntryKey,
    Reading,
    Statement,
    by_statement,
)
from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_WINDOW = 300.0
_THRESHOLDS: Mapping[str, float] = {"0.1": 0.1, "1": 1.0}


class SlowStatementsParams(Params):
    """How many statements get series of their own (twice as many at the most), and from how many calls on."""

    top: int = Field(default=20, ge=1, le=1000)
    calls: int = Field(default=5, ge=1)


class SlowStatements:
    """The calls and seconds of each statement in the last five minutes, and the statements that have series."""

    def __init__(self) -> None:
        self.entries = Entries()
        self.calls: WindowSums[Statement] = WindowSums(_WINDOW)
        self.seconds: WindowSums[Statement] = WindowSums(_WINDOW)
        self._deltas: Deltas[EntryKey] = Deltas()
        self._top: TopMembers[Statement] | None = None

    def advance(self, reading: Reading, params: SlowStatementsParams, now: float) -> bool:
        """Add a reading; return whether it was the first, with which there is nothing to compare."""
        deltas = self._deltas.update(
            {key: (counts[CALLS], counts[SECONDS]) for key, counts in reading.counters.items()}
        )
        if deltas is None or self._top is None:
            self._top = TopMembers(params.top)
            return True
        moved = by_statement(deltas)
        self.calls.add({statement: counts[CALLS] for statement, counts in moved.items()}, now)
        self.seconds.add({statement: counts[SECONDS] for statement, counts in moved.items()}, now)
        calls = self.calls.sums
        self._top.update({s: self.seconds.sums[s] / n for s, n in calls.items() if n >= params.calls}, now)
        return False

    def members(self) -> Iterable[Statement]:
        return self._top or ()


async def _slow_statements(
    session: OperationSession, params: SlowStatementsParams, state: SlowStatements
) -> Sequence[Row]:
    """Return a row a slow statement, and one a database and threshold for how many are slower than that."""
    reading = await state.entries.read(session)
    if state.advance(reading, params, time.monotonic()):
        return []
    databases = sorted({str(datname) for _, datname, *_ in reading.counters})
    return [*_shown(state), *_counted(state, databases)]


def _shown(state: SlowStatements) -> Iterator[Row]:
    for user, datname, queryid in state.members():
        calls = state.calls.sums.get((user, datname, queryid), 0.0)
        seconds = state.seconds.sums.get((user, datname, queryid), 0.0)
        labels: Row = {"user": user, "datname": datname, "queryid": queryid, "threshold": ""}
        yield {**labels, "calls": calls, "mean": seconds / calls if calls else None, "statements": None}


def _counted(state: SlowStatements, databases: Sequence[str]) -> Iterator[Row]:
    """Count statements by the mean over all their users."""
    sums: dict[tuple[str, int], tuple[float, float]] = {}
    for statement, calls in state.calls.sums.items():
        _, datname, queryid = statement
        so_far = sums.get((datname, queryid), (0.0, 0.0))
        sums[datname, queryid] = (so_far[0] + calls, so_far[1] + state.seconds.sums[statement])
    slow = Counter(
        (datname, label)
        for (datname, _), (calls, seconds) in sums.items()
        for label, threshold in _THRESHOLDS.items()
        if calls and seconds / calls > threshold
    )
    for datname, label in product(databases, _THRESHOLDS):
        labels: Row = {"user": "", "datname": datname, "queryid": "", "threshold": label}
        yield {**labels, "calls": None, "mean": None, "statements": float(slow[datname, label])}


SLOW_STATEMENTS = Operation(_slow_statements, SlowStatementsParams, SlowStatements)
