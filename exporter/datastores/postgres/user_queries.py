"""Run statements of users: read-only, within a deadline and a number of rows, and without leaving anything behind."""

import re
from collections.abc import Sequence
from typing import Any

import asyncpg

from exporter.datastores.postgres.sql_text import first_word, skipped
from exporter.errors import QueryError
from exporter.queries.query import Row

_BATCH = 100  # rows in memory before their size is known
_MOST_CHARACTERS = 50_000_000
# ROLLBACK does not undo every command: DEALLOCATE ALL would drop the prepared statements of all other queries.
_READING = {"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"}
# Advisory locks of a session outlive its transactions.
LEAVE = "ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()"
_NOT_HERE = {
    "3F000",  # invalid schema name
    "42883",  # undefined function: an extension's, for one
    "42P01",  # undefined table
}


async def untrusted_rows(
    connection: Any, sql: str, arguments: Sequence[object], most_rows: int, *, visiting: bool
) -> Sequence[Row]:
    """Run one statement in a transaction that the caller made read-only and will end by LEAVE.

    default_transaction_read_only would not suffice: one SET undoes it. This transaction cannot be left, because the
    extended protocol takes a single statement. No more rows are fetched than wanted. While visiting one database
    after another, a missing table makes the query unsupported in that database.
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
    """Write a position in the WAL as PostgreSQL does; asyncpg makes it a number."""
    return None if value is None else f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


# The server cuts names to 63 bytes; without that bound a word of a million letters would be looked at for hours.
_NAMES = (
    r"dblink\w{0,63}",  # another connection, on which anything may be written
    r"http_(?:get|post|put|patch|delete|head)",
    r"lo_(?:import|export|put|from_bytea|creat|create|unlink)|lowrite",
    r"pg_read_(?:binary_)?file|pg_stat_file",
    r"pg_(?:terminate|cancel)_backend|pg_log_backend_memory_contexts",
    r"pg_(?:promote|reload_conf|rotate_logfile|switch_wal|create_restore_point|log_standby_snapshot|prewarm|file_write)",
    r"pg_(?:backup_start|backup_stop|start_backup|stop_backup|wal_replay_pause|wal_replay_resume)",
    r"pg_logical_emit_message|pg_logical_slot_get_(?:binary_)?changes|pg_replication_slot_advance",
    r"pg_(?:create|copy)_(?:physical|logical)_replication_slot|pg_drop_replication_slot|pg_sync_replication_slots",
    r"pg_replication_origin_\w{1,63}",
    r"pg_stat_(?:\w{1,63}_)?reset\w{0,63}",
)
_MOST = 20  # mentions
# A name in escapes cannot be compared.
_NAME = re.compile(rf"""(?<![\w$])({"|".join(_NAMES)}|U&"[^"]{{1,200}}")(?![\w$])"?""", re.IGNORECASE | re.ASCII)


def harmful_call(sql: str) -> str | None:
    """Return the first such function that a statement calls; also where a text of it merely looks like a call.

    A statement with many mentions is rejected before each of them is examined.
    """
    for number, found in enumerate(_NAME.finditer(sql)):
        at = skipped(sql, found.end())
        if number == _MOST or sql[at : at + 7].upper().startswith(("(", "UESCAPE")):
            return found[1]
    return None
