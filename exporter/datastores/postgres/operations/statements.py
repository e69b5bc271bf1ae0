"""pg_stat_statements as counters that only grow, with series for the heaviest statements alone.

The view's own sums fall whenever it evicts an entry, which Prometheus takes for a restart and answers with rates
that never were. So increments are taken entry by entry and added up here.
"""

import time
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from exporter.datastores.accumulators import Breakdown, Deltas, TopMembers
from exporter.datastores.postgres.operations.statement_entries import (
    ENTRIES,
    NAMES,
    SECONDS,
    Entries,
    EntryKey,
    Reading,
    Statement,
    by_statement,
    statement_of,
    statements_extension,
)
from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_LABELS = ("user", "datname", "queryid")
_INFO = "pg_stat_statements_info()"  # since version 1.9 of the extension


class StatementsParams(Params):
    """How many statements get series of their own (twice as many at the most)."""

    top: int = Field(default=50, ge=1, le=1000)


class TopStatements:
    """What stays between polls; counted from zero again where the extension's columns change."""

    def __init__(self) -> None:
        self.entries = Entries()
        self._columns: tuple[str, ...] = ()
        self._deltas: Deltas[EntryKey] = Deltas()
        self._breakdown: Breakdown[Statement] | None = None

    def advance(self, reading: Reading, top: int, now: float) -> Breakdown[Statement]:
        if self._breakdown is None or reading.columns != self._columns:
            self._columns, self._deltas = reading.columns, Deltas()
            self._breakdown = Breakdown(_database, len(reading.columns), SECONDS, TopMembers(top))
            self._breakdown.start(by_statement(reading.counters), now)
        deltas = self._deltas.update(reading.counters)
        if deltas is not None:
            self._breakdown.add(by_statement(deltas), now)
        return self._breakdown

    def members(self) -> Iterable[Statement]:
        return self._breakdown.members if self._breakdown else ()


async def _statements(session: OperationSession, params: StatementsParams, state: TopStatements) -> Sequence[Row]:
    """Return a row a top statement, one a database for the others (queryid "other"), one a database for all."""
    reading = await state.entries.read(session)
    breakdown = state.advance(reading, params.top, time.monotonic())
    longest = _longest(reading.longest, breakdown.members)
    return _rows(reading.columns, breakdown, longest)


def _database(statement: Statement) -> str:
    return statement[1]


def _longest(entries: Mapping[EntryKey, float], members: Mapping[Statement, object]) -> dict[Statement, float]:
    longest: dict[Statement, float] = {}
    for key, seconds in entries.items():
        statement = statement_of(key)
        if statement in members:
            longest[statement] = max(seconds, longest.get(statement, 0.0))
    return longest


def _rows(columns: Sequence[str], breakdown: Breakdown[Statement], longest: Mapping[Statement, float]) -> list[Row]:
    """Make rows of all kinds; what an older extension does not count is no sample."""
    nothing: Row = dict.fromkeys((*NAMES, "longest", *(f"total_{name}" for name in NAMES)))
    rows: list[Row] = []
    for statement, counts in breakdown.members.items():
        labels = dict(zip(_LABELS, statement, strict=True))
        rows.append({**nothing, **labels, **dict(zip(columns, counts, strict=True)), "longest": longest.get(statement)})
    for datname, counts in breakdown.others.items():
        labels = {"user": "", "datname": datname, "queryid": "other"}
        rows.append({**nothing, **labels, **dict(zip(columns, counts, strict=True))})
    for datname, counts in breakdown.totals.items():
        totals = {f"total_{name}": count for name, count in zip(columns, counts, strict=True)}
        rows.append({**nothing, "user": "", "datname": datname, "queryid": "", **totals})
    return rows


async def _statements_info(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    """Return one row about the view itself; a full view evicts, and what it evicts is not measured."""
    extension = await statements_extension(session, fresh=True)  # an update brings functions
    has_info = _INFO in extension.functions
    since = f"FROM {extension.function(_INFO)}()" if has_info else ""
    columns = "dealloc::float8, extract(epoch FROM stats_reset)::float8" if has_info else "NULL::float8, NULL::float8"
    return await session.rows(f"""
        SELECT
            (SELECT count(*) FROM {extension.function(ENTRIES)}(false))::float8 AS entries,
            current_setting('pg_stat_statements.max')::float8 AS max,
            info.*
        FROM (SELECT {columns} {since}) AS info (dealloc, stats_reset)
    """)  # noqa: S608 - the functions are named as the server quotes them, the rest is our own


STATEMENTS = Operation(_statements, StatementsParams, TopStatements)
STATEMENTS_INFO = Operation(_statements_info)
