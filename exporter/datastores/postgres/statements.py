"""pg_stat_statements as counters that only grow, with series for the heaviest statements alone.

The view's own sums fall whenever it evicts an entry, which Prometheus takes for a restart and answers with rates
that never were. So increments are taken entry by entry and added up here.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from exporter.accumulate import Breakdown, Counts, Deltas, TopMembers
from exporter.datastores.base import Operation, Params
from exporter.query import QueryError, Row

# Our column, the view's (the newest name first; versions of the extension differ) and what makes it a base unit.
_COUNTERS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("calls", ("calls",), ""),
    ("seconds", ("total_exec_time", "total_time"), " / 1000"),
    ("rows", ("rows",), ""),
    ("block_read_seconds", ("shared_blk_read_time", "blk_read_time"), " / 1000"),
    ("block_write_seconds", ("shared_blk_write_time", "blk_write_time"), " / 1000"),
    ("shared_blocks_hit", ("shared_blks_hit",), ""),
    ("shared_blocks_read", ("shared_blks_read",), ""),
    ("temp_blocks_written", ("temp_blks_written",), ""),
    ("wal_bytes", ("wal_bytes",), ""),
)
_NAMES = tuple(name for name, _, _ in _COUNTERS)
_SECONDS = _NAMES.index("seconds")
_KEY_LENGTH = 5

_COLUMNS = """
SELECT attname::text FROM pg_attribute
WHERE attrelid = to_regclass($1::text || '.pg_stat_statements') AND attnum > 0 AND NOT attisdropped
"""


class StatementsParams(Params):
    """How many statements get series of their own (twice as many at the most)."""

    top: int = Field(default=50, ge=1, le=1000)


class Statement(NamedTuple):
    """What the series of a statement are named by; its text is nobody's business."""

    user: str
    datname: str
    queryid: str


class _State:
    """What stays between polls; `sql` is made for the extension's columns and made anew after a failure."""

    def __init__(self) -> None:
        self.sql: str | None = None
        self.deltas: Deltas[tuple[object, ...]] = Deltas()
        self.breakdown: Breakdown[Statement] | None = None


async def _statements(session: Any, params: StatementsParams, state: _State) -> Sequence[Row]:
    """Return a row a top statement, one a database for the others (queryid "other"), one a database for all."""
    sql, state.sql = state.sql or await _entries_sql(session), None
    counters = {row[:_KEY_LENGTH]: row[_KEY_LENGTH:] for row in await session.rows(sql)}
    state.sql = sql
    deltas = state.deltas.update(counters)
    now = time.monotonic()
    if deltas is None or state.breakdown is None:
        state.breakdown = Breakdown(_database, _SECONDS, TopMembers(params.top))
        state.breakdown.start(_by_statement(counters), now)
    else:
        state.breakdown.add(_by_statement(deltas), now)
    return _rows(state.breakdown)


def _database(statement: Statement) -> str:
    return statement.datname


def _by_statement(entries: Mapping[tuple[object, ...], Counts]) -> dict[Statement, Counts]:
    """Add up entries that differ only in what no series is named by: run at top level or inside a function."""
    sums: dict[Statement, Counts] = {}
    for (user, datname, queryid, *_), counts in entries.items():
        statement = Statement(str(user), str(datname), str(queryid))
        before = sums.get(statement)
        sums[statement] = tuple(a + b for a, b in zip(before, counts, strict=True)) if before else counts
    return sums


def _rows(breakdown: Breakdown[Statement]) -> list[Row]:
    nothing: Row = dict.fromkeys((*_NAMES, *(f"total_{name}" for name in _NAMES)))
    statements = dict(breakdown.members)
    for datname, counts in breakdown.others.items():
        statements[Statement("", datname, "other")] = counts
    rows: list[Row] = [
        {**nothing, **statement._asdict(), **dict(zip(_NAMES, counts, strict=True))}
        for statement, counts in statements.items()
    ]
    for datname, counts in breakdown.totals.items():
        totals = {f"total_{name}": count for name, count in zip(_NAMES, counts, strict=True)}
        rows.append({**nothing, **Statement("", datname, "")._asdict(), **totals})
    return rows


async def _entries_sql(session: Any) -> str:
    """Compose the statement that reads all entries, for the columns that this version of the extension has.

    queryid is NULL where the role may not see other users' statements.
    """
    schema = await _schema(session)
    have = {row["attname"] for row in await session.rows(_COLUMNS, schema)}
    counters = []
    for name, candidates, unit in _COUNTERS:
        column = next((candidate for candidate in candidates if candidate in have), "0")
        counters.append(f"s.{column}::float8{unit} AS {name}" if column in have else f"0::float8 AS {name}")
    # An entry that was evicted and came back has a new stats_since, and so counts from zero whatever it holds.
    parts = [f"s.{column}" if column in have else "NULL" for column in ("toplevel", "stats_since")]
    return f"""
        SELECT pg_get_userbyid(s.userid)::text AS user, d.datname::text, s.queryid, {", ".join(parts)},
            {", ".join(counters)}
        FROM {schema}.pg_stat_statements(false) AS s JOIN pg_database AS d ON d.oid = s.dbid
        WHERE s.queryid IS NOT NULL
    """  # noqa: S608 - the schema is quoted, the columns are our own


async def _schema(session: Any) -> str:
    """Return the extension's schema, quoted, or say why there is none."""
    reason = session.info.capabilities.get("pg_stat_statements", "")
    extension = (await session.extensions()).get("pg_stat_statements")
    if reason or extension is None:
        raise QueryError("unsupported", reason or "extension pg_stat_statements is not installed")
    return str(extension.schema)


async def _statements_info(session: Any, _params: Params, _state: None) -> Sequence[Row]:
    """Return one row about the view itself; a full view evicts, and what it evicts is not measured."""
    schema = await _schema(session)
    [[has_info]] = await session.rows("SELECT to_regclass($1::text || '.pg_stat_statements_info') IS NOT NULL", schema)
    since = f"FROM {schema}.pg_stat_statements_info" if has_info else ""
    columns = "dealloc::float8, extract(epoch FROM stats_reset)::float8" if has_info else "NULL::float8, NULL::float8"
    rows: Sequence[Row] = await session.rows(f"""
        SELECT
            (SELECT count(*) FROM {schema}.pg_stat_statements(false))::float8 AS entries,
            current_setting('pg_stat_statements.max')::float8 AS max,
            info.*
        FROM (SELECT {columns} {since}) AS info (dealloc, stats_reset)
    """)  # noqa: S608 - the schema is quoted, the rest is our own
    return rows


STATEMENTS = Operation(_statements, StatementsParams, _State)
STATEMENTS_INFO = Operation(_statements_info)
