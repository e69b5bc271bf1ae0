"""Indexes without a scan, reported only where the statistics are old enough."""

from collections.abc import Sequence

from pydantic import Field

from exporter.datastores.postgres.session import OperationSession
from exporter.errors import QueryError
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

# Statistics that were never reset have no time of a reset. A crash loses all of them; the statistics of the background
# writer, which belong to no database, then have the time.
_UNUSED = """
WITH statistics AS (
    SELECT greatest(d.stats_reset, b.stats_reset) < now() - make_interval(days => $1) AS old
    FROM pg_stat_database AS d
    CROSS JOIN pg_stat_bgwriter AS b
    WHERE d.datname = current_database()
),
unused AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relpages
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'i'
        AND c.oid >= 16384
        AND n.nspname <> 'pg_toast'
        AND c.relpersistence <> 't'
        AND NOT c.relispartition
        AND i.indisvalid
        AND NOT i.indisunique
        AND NOT i.indisexclusion
        AND NOT i.indisreplident
        AND pg_stat_get_numscans(c.oid) = 0
)
SELECT
    (SELECT old FROM statistics) AS old,
    count(*)::float8 AS indexes,
    coalesce(sum(relpages), 0) * current_setting('block_size')::float8 AS bytes,
    (array_agg(name ORDER BY name))[1:100] AS names
FROM unused
"""


class UnusedParams(Params):
    """days: the age from which on statistics show that an index is not used."""

    days: int = Field(default=7, ge=0)


async def _unused(session: OperationSession, params: UnusedParams, _state: None) -> Sequence[Row]:
    """Return one row: how many, their bytes, their names; raise QueryError where the statistics are too young."""
    rows = await session.rows(_UNUSED, params.days)
    if not rows[0]["old"]:
        raise QueryError("unsupported", f"the statistics are younger than {params.days} days")
    return rows


INDEXES_UNUSED = Operation(_unused, UnusedParams)
