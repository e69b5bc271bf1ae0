"""The entries of pg_stat_statements, read once in a pass for all operations."""

from collections.abc import Mapping
from functools import partial
from operator import add
from typing import NamedTuple

from exporter.datastores.accumulators import Counts
from exporter.datastores.postgres.extensions import Extension
from exporter.datastores.postgres.session import OperationSession
from exporter.errors import QueryError

Statement = tuple[str, str, int]  # user, database and queryid, the labels of its series; the text is none of them
EntryKey = tuple[object, ...]  # a Statement and the other columns that identify an entry

# Our column and what the view calls it, the newest name first: versions of the extension differ.
_COUNTERS: Mapping[str, tuple[str, ...]] = {
    "calls": ("calls",),
    "seconds": ("total_exec_time", "total_time"),
    "rows": ("rows",),
    "plan_seconds": ("total_plan_time",),
    "block_read_seconds": ("shared_blk_read_time", "blk_read_time"),
    "block_write_seconds": ("shared_blk_write_time", "blk_write_time"),
    "shared_blocks_hit": ("shared_blks_hit",),
    "shared_blocks_read": ("shared_blks_read",),
    "shared_blocks_dirtied": ("shared_blks_dirtied",),
    "shared_blocks_written": ("shared_blks_written",),
    "temp_blocks_read": ("temp_blks_read",),
    "temp_blocks_written": ("temp_blks_written",),
    "wal_bytes": ("wal_bytes",),
    "jit_seconds": ("jit_generation_time + jit_inlining_time + jit_optimization_time + jit_emission_time",),
}
CALLS, SECONDS = 0, 1  # where every reading's counts have these two
NAMES = tuple(_COUNTERS)
_KEY_LENGTH = 5

ENTRIES = "pg_stat_statements(boolean)"
_COLUMNS = "SELECT unnest(proargnames) AS name FROM pg_proc WHERE oid = $1::text::regprocedure"


class Reading(NamedTuple):
    """Hold all entries at one moment: what is counted, and the longest execution of each in seconds."""

    columns: tuple[str, ...]  # those of NAMES that this version of the extension has
    counters: Mapping[EntryKey, Counts]
    longest: Mapping[EntryKey, float]


class Entries:
    """Read the view; the statement is made for the extension's columns and made anew after a failure."""

    def __init__(self) -> None:
        self._composed: tuple[str, tuple[str, ...]] | None = None

    async def read(self, session: OperationSession) -> Reading:
        """Return the entries, which are read once in a pass."""
        return await session.cache.get("pg_stat_statements", partial(self._read, session))

    async def _read(self, session: OperationSession) -> Reading:
        sql, columns = self._composed or await _compose(session)
        self._composed = None
        rows = await session.rows(sql)
        self._composed = sql, columns
        keys = [row[:_KEY_LENGTH] for row in rows]
        counters = {key: row[_KEY_LENGTH + 1 :] for key, row in zip(keys, rows, strict=True)}
        longest = {key: row[_KEY_LENGTH] for key, row in zip(keys, rows, strict=True)}
        return Reading(columns, counters, longest)


def statement_of(key: EntryKey) -> Statement:
    return key[:3]  # type: ignore[return-value]  # so the keys are made


def by_statement(entries: Mapping[EntryKey, Counts]) -> dict[Statement, Counts]:
    """Add up the entries of a statement, such as those run at top level and those inside a function."""
    sums: dict[Statement, Counts] = {}
    for key, counts in entries.items():
        statement = statement_of(key)
        before = sums.get(statement)
        sums[statement] = tuple(map(add, before, counts)) if before else counts
    return sums


async def _compose(session: OperationSession) -> tuple[str, tuple[str, ...]]:
    """Return the statement that reads all entries, and the names of its counters.

    queryid is NULL where the role may not see other users' statements.
    """
    function = (await statements_extension(session)).function(ENTRIES)
    have = {row["name"] for row in await session.rows(_COLUMNS, f"{function}(boolean)")}
    counters = {
        name: expression + ("::float8 / 1000" if name.endswith("seconds") else "::float8")
        for name, expressions in _COUNTERS.items()
        for expression in [f"({known})" for known in expressions if have.issuperset(known.split(" + "))][:1]
    }
    # An entry that was evicted and came back has a new stats_since, and so counts from zero whatever it holds.
    since = "date_part('epoch', stats_since)" if "stats_since" in have else "NULL"
    toplevel = "toplevel" if "toplevel" in have else "NULL"
    longest = "max_exec_time" if "max_exec_time" in have else "max_time"
    sql = f"""
        SELECT pg_get_userbyid(userid)::text AS user, datname::text, queryid, {toplevel}, {since},
            {longest} / 1000, {", ".join(counters.values())}
        FROM {function}(false) JOIN pg_database ON pg_database.oid = dbid
        WHERE queryid IS NOT NULL
    """  # noqa: S608 - the function is named as the server quotes it, the columns are our own
    return sql, tuple(counters)


async def statements_extension(session: OperationSession, *, fresh: bool = False) -> Extension:
    """Return the extension pg_stat_statements; raise QueryError with the cause where there is none."""
    reason = session.info.capabilities.get("pg_stat_statements", "")
    extension = (await session.extensions(fresh=fresh)).get("pg_stat_statements")
    if reason or extension is None:
        raise QueryError("unsupported", reason or "extension pg_stat_statements is not installed")
    return extension
