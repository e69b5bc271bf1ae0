"""How far sequences are from their end: their own, or that of the columns they fill, whichever comes first.

Reading a sequence locks it until its statement ends. So they are read in batches, for the server has room for a few
thousand locks only; and one that a transaction has altered is left out, for reading it would wait for the transaction.
"""

from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import Any

from pydantic import Field

from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_BATCH = 200
_NEAR = 0.5  # from which used share on a sequence is named

_READABLE = """
WITH filled AS (
    SELECT objid AS seqrelid, refobjid AS attrelid, refobjsubid AS attnum
    FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
        AND refobjsubid > 0
    UNION ALL
    SELECT d.refobjid, defaults.adrelid, defaults.adnum
    FROM pg_depend AS d
    JOIN pg_attrdef AS defaults ON defaults.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
),
columns AS (
    SELECT filled.seqrelid, max(bounds.lowest) AS lowest, min(bounds.highest) AS highest
    FROM pg_sequence AS s
    JOIN filled ON filled.seqrelid = s.seqrelid
    JOIN pg_attribute AS a ON a.attrelid = filled.attrelid AND a.attnum = filled.attnum
    JOIN pg_type AS t ON t.oid = a.atttypid
    JOIN (VALUES ('int2'::regtype, -32768, 32767), ('int4', -2147483648, 2147483647)) AS bounds (type, lowest, highest)
        ON bounds.type = coalesce(nullif(t.typbasetype, 0), t.oid)
    GROUP BY filled.seqrelid
)
SELECT
    s.seqrelid AS oid,
    n.nspname::text AS schemaname,
    c.relname::text AS sequencename,
    format('%I.%I', n.nspname, c.relname) AS name,
    s.seqincrement > 0 AS ascending,
    s.seqmin::float8 AS seqmin,
    s.seqmax::float8 AS seqmax,
    greatest(s.seqmin, columns.lowest)::float8 AS lowest,
    least(s.seqmax, columns.highest)::float8 AS highest
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN columns ON columns.seqrelid = s.seqrelid
WHERE NOT s.seqcycle
    AND has_sequence_privilege(s.seqrelid, 'USAGE, SELECT')
    AND (c.relpersistence = 'p' OR c.relpersistence = 'u' AND NOT pg_is_in_recovery())
ORDER BY s.seqrelid
"""
_LAST_VALUES = """
SELECT seqrelid, coalesce(pg_sequence_last_value(seqrelid), seqstart)::float8 AS last_value
FROM pg_sequence
WHERE seqrelid = ANY ($1::oid[])
    AND seqrelid NOT IN (
        SELECT relation
        FROM pg_locks
        WHERE locktype = 'relation'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    )
"""


class SequencesParams(Params):
    """How many are shown."""

    top: int = Field(default=20, ge=1, le=500)


async def _sequences(session: OperationSession, params: SequencesParams, _state: None) -> Sequence[Row]:
    """Return a row for each of those nearest to their end: schemaname, sequencename, used (a ratio), near_its_end."""
    sequences = await session.rows(_READABLE)
    last_values: dict[object, float] = {}
    for start in range(0, len(sequences), _BATCH):
        oids = [sequence["oid"] for sequence in sequences[start : start + _BATCH]]
        last_values.update(dict(await session.rows(_LAST_VALUES, oids)))
    rows = [
        _row(sequence, _used(sequence, last_values[sequence["oid"]]))
        for sequence in sequences
        if sequence["oid"] in last_values
    ]
    return nlargest(params.top, rows, key=lambda row: row["used"])


def _used(sequence: Mapping[str, float], last_value: float) -> float:
    """Return the used share; above 1 where the sequence gives what its column cannot hold."""
    if sequence["ascending"]:
        return (last_value - sequence["seqmin"]) / max(sequence["highest"] - sequence["seqmin"], 1.0)
    return (sequence["seqmax"] - last_value) / max(sequence["seqmax"] - sequence["lowest"], 1.0)


def _row(sequence: Row, used: float) -> dict[str, Any]:
    return {
        "schemaname": sequence["schemaname"],
        "sequencename": sequence["sequencename"],
        "used": used,
        "near_its_end": sequence["name"] if used > _NEAR else None,
    }


SEQUENCES = Operation(_sequences, SequencesParams)
