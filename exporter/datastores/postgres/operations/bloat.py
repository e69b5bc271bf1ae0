"""What is free or dead in tables and indexes, measured by the extension pgstattuple, one relation at a time.

pgstattuple waits for locks of the relation, and others that want to lock it wait for pgstattuple. So one that is
locked is left out, one that takes long is given up, and neither costs the others anything.
"""

from collections.abc import AsyncIterator, Sequence
from time import monotonic

from pydantic import Field

from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_SHARE_OF_TIMEOUT = 0.8  # of the query's: then what was measured is all there is
_LEAST_SECONDS = 0.1

# An exclusive lock blocks us even while its session still waits for it. An unlogged table is empty on a replica.
_LARGEST = """
SELECT c.oid, n.nspname::text AS schemaname, c.relname::text AS relname
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_am AS method ON method.oid = c.relam
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE method.amname = $1
    AND c.relkind = ANY ('{r,m,i}')
    AND c.oid >= 16384
    AND n.nspname <> 'pg_toast'
    AND (c.relpersistence = 'p' OR c.relpersistence = 'u' AND NOT pg_is_in_recovery())
    AND coalesce(i.indisvalid, true)
    AND c.relpages BETWEEN 1 AND $2::bigint / current_setting('block_size')::int
    AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'relation'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND relation IN (c.oid, i.indrelid)
            AND mode = 'AccessExclusiveLock'
    )
ORDER BY c.relpages DESC, c.oid
LIMIT $3
"""
_TABLE = """
SELECT
    (approx_free_space + dead_tuple_len)::float8 AS bytes,
    (approx_free_space + dead_tuple_len)::float8 / nullif(table_len, 0) AS ratio
FROM {function}($1::oid::regclass)
"""
_INDEX = """
SELECT t.relname::text AS relname, c.relname::text AS indexrelname, nullif(avg_leaf_density, 'NaN') / 100 AS density
FROM {function}($1::oid::regclass)
JOIN pg_class AS c ON c.oid = $1
JOIN pg_index AS i ON i.indexrelid = $1
JOIN pg_class AS t ON t.oid = i.indrelid
"""


class BloatParams(Params):
    """How many of the largest relations are measured, up to which size, and for how long each may be read."""

    relations: int = Field(default=20, ge=1, le=200)
    max_bytes: int = Field(default=10 * 2**30, ge=1)
    seconds: float = Field(default=3.0, ge=_LEAST_SECONDS, strict=False)


async def _tables(session: OperationSession, params: BloatParams, _state: None) -> Sequence[Row]:
    """Return a row a table: schemaname, relname, bytes and ratio of what is free or dead."""
    return [row async for row in _measured(session, params, "heap", "pgstattuple_approx(regclass)", _TABLE)]


async def _indexes(session: OperationSession, params: BloatParams, _state: None) -> Sequence[Row]:
    """Return a row a B-tree index: schemaname, relname (its table), indexrelname, density of its leaf pages."""
    return [row async for row in _measured(session, params, "btree", "pgstatindex(regclass)", _INDEX)]


async def _measured(
    session: OperationSession, params: BloatParams, method: str, signature: str, sql: str
) -> AsyncIterator[Row]:
    deadline = monotonic() + _SHARE_OF_TIMEOUT * session.seconds
    statement = sql.format(function=(await session.extensions())["pgstattuple"].function(signature))
    for relation in await session.rows(_LARGEST, method, params.max_bytes, params.relations):
        seconds = min(params.seconds, deadline - monotonic())
        if seconds < _LEAST_SECONDS:
            return
        for row in await session.rows_of_relation(statement, relation["oid"], seconds=seconds):
            yield {**relation, **row}


TABLE_BLOAT = Operation(_tables, BloatParams)
INDEX_BLOAT = Operation(_indexes, BloatParams)
