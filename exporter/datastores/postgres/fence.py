"""How a user's own statement runs: it may read, for so long and so many rows, and leaves nothing behind."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from exporter.datastores.postgres.harmful import harmful_call
from exporter.query import QueryError, Row
from exporter.sql_text import first_word

_BATCH = 100  # rows in memory before their size is known
_MOST_CHARACTERS = 50_000_000
# Not all that is no query is undone by ROLLBACK: DEALLOCATE ALL would forget the statements of every other query.
_READING = {"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"}
# Advisory locks of a session outlive its transactions.
LEAVE = "ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()"
_NOT_HERE = {
    "3F000",  # invalid schema name
    "42883",  # undefined function: an extension's, for one
    "42P01",  # undefined table
}


async def fenced_rows(
    connection: Any, sql: str, arguments: Sequence[object], most_rows: int, *, visiting: bool
) -> Sequence[Row]:
    """Run one statement in a transaction that the caller made read-only and will end by LEAVE.

    default_transaction_read_only is no fence, for one SET undoes it; this one cannot be left, because the extended
    protocol takes a single statement. More rows than wanted are not even fetched. While visiting one database
    after another, a table that is not there makes the query unsupported in that database.
    """
    if first_word(sql) not in _READING:
        raise QueryError("query", "only a statement that reads may be asked: SELECT, WITH, VALUES, TABLE or SHOW")
    if name := harmful_call(sql):
        raise QueryError("query", f"may not call {name}, which does what no read-only transaction holds back")
    try:
        return await _rows(connection, sql, arguments, most_rows)
    except asyncpg.PostgresError as error:
        if visiting and error.sqlstate in _NOT_HERE:
            raise QueryError("unsupported", str(error)) from error
        raise


async def _rows(connection: Any, sql: str, arguments: Sequence[object], most: int) -> Sequence[Row]:
    # Without a name, by which a function may have left a prepared statement in the session.
    statement = await connection.prepare(sql, name="")
    cursor = await statement.cursor(*arguments)
    rows: list[Row] = []
    characters = 0
    while batch := await cursor.fetch(_BATCH):
        rows += batch
        characters += sum(len(value) for row in batch for value in row.values() if isinstance(value, str | bytes))
        if len(rows) > most:
            raise QueryError("limit", f"more than {most} rows", len(rows))
        if characters > _MOST_CHARACTERS:
            raise QueryError("limit", f"texts of more than {_MOST_CHARACTERS} characters", len(rows))
    positions = [column.name for column in statement.get_attributes() if column.type.name == "pg_lsn"]
    return [{**row, **{name: _position(row[name]) for name in positions}} for row in rows] if positions else rows


def _position(value: Any) -> str | None:
    """Write a position in the WAL as everybody reads it; asyncpg makes it a number."""
    return None if value is None else f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"
