"""Extensions, tables and indexes that a user expects, looked for in the databases they are to be in.

Names are written `[database:][schema.]name`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from exporter.config.expectations import Partitioning, SchemaVersion
from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row
from exporter.versions import version_satisfies

Written = Mapping[str, str]  # a name inside its database to how the user wrote it
Look = Callable[[OperationSession, Written], Awaitable[Sequence[str]]]

_DAY = 86400.0
_TABLES = ["r", "p", "f"]
_READABLE = [*_TABLES, "v", "m"]
_INDEXES = ["i", "I"]

_ENTRANCE = """
SELECT
    datallowconn AND datconnlimit <> -2 AS open,
    has_database_privilege(oid, 'CONNECT') AS allowed
FROM pg_database
WHERE datname = $1
"""
# A name may hold a dot itself, so both readings of one are looked up, each through the index.
_RELATIONS = """
SELECT
    expected.name AS name,
    c.oid AS oid,
    c.place AS place,
    c.relkind::text AS kind,
    c.relrowsecurity AS row_level_security,
    (SELECT indisvalid FROM pg_index WHERE indexrelid = c.oid) AS valid
FROM unnest($1::text[]) WITH ORDINALITY AS expected (name, position)
LEFT JOIN LATERAL (
    SELECT pg_class.*, quote_ident(nspname) || '.' || quote_ident(relname) AS place
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = ANY (ARRAY[expected.name, substr(expected.name, strpos(expected.name, '.') + 1)]::name[])
        AND relkind::text = ANY ($2::text[])
        AND (
            (relname = expected.name AND nspname !~ '^(pg_.*|information_schema)$')
            OR nspname || '.' || relname = expected.name
        )
) AS c ON true
ORDER BY expected.position
"""
_PARTITION_KEY = """
SELECT
    partstrat = 'r'
    AND atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) AS by_time
FROM pg_partitioned_table
LEFT JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]
WHERE partrelid = $1
"""
_PARTITIONS = r"""
WITH partitions AS (
    SELECT relname::text AS name, pg_get_expr(relpartbound, 0) AS bounds  -- with the oid it would wait for locks
    FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = $1
), ends AS (
    SELECT
        name,
        CASE
            WHEN bounds LIKE '% TO (MAXVALUE%' THEN 'infinity'
            ELSE substring(bounds FROM $$ TO \('([^']+)'$$)
        END::timestamptz AS ends
    FROM partitions
)
SELECT
    max(ends) >= now() + make_interval(secs => $2) AS far_enough,
    extract(epoch FROM max(ends) FILTER (WHERE ends <> 'infinity') - now())::float8 AS ahead,
    count(*) FILTER (WHERE ends < now() - make_interval(secs => $3)) AS overdue,
    (array_agg(name ORDER BY ends))[1] AS oldest
FROM ends
"""
_COLUMN = """
SELECT
    quote_ident(attname) AS column,
    has_schema_privilege(relnamespace, 'USAGE') AND has_column_privilege(attrelid, attnum, 'SELECT') AS readable
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attrelid = $1 AND attname = $2 AND NOT attisdropped
"""


async def _extensions(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    expected = session.target.expect.extensions

    async def look(inside: OperationSession, names: Written) -> list[str]:
        installed = {name: extension.version for name, extension in (await inside.extensions()).items()}
        drifts = []
        for name, written in names.items():
            if name not in installed:
                drifts.append(f"{written} is not installed")
            elif not version_satisfies(installed[name], expected[written]):
                drifts.append(f"{written} is {installed[name]}, expected {expected[written]}")
        return drifts

    return await _everywhere(session, expected, look)


async def _tables(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    return await _relations(session, session.target.expect.tables, _TABLES, "table")


async def _indexes(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    return await _relations(session, session.target.expect.indexes, _INDEXES, "index", ("valid", "is invalid"))


async def _row_level_security(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    wanted = ("row_level_security", "has no row-level security")
    return await _relations(session, session.target.expect.row_level_security, _TABLES, "table", wanted)


async def _relations(
    session: OperationSession, expected: Iterable[str], kinds: list[str], what: str, wanted: tuple[str, str] = ("", "")
) -> Sequence[Row]:
    """Look for relations of some kinds; `wanted` is a column that must not be false, and the drift where it is."""
    column, drift = wanted

    async def look(inside: OperationSession, names: Written) -> list[str]:
        found = await inside.rows(_RELATIONS, list(names), kinds)
        drifts = [f"{names[row['name']]} is no {what}" for row in found if row["oid"] is None]
        return drifts + [f"{names[row['name']]} {drift}" for row in found if column and row[column] is False]

    return await _everywhere(session, expected, look)


async def _partitioned_tables(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    expected = session.target.expect.partitioned_tables

    async def look(inside: OperationSession, names: Written) -> list[str]:
        drifts = []
        for row in await inside.rows(_RELATIONS, list(names), _TABLES):
            written = names[row["name"]]
            if row["kind"] == "p":
                drifts += [f"{written} {drift}" for drift in await _partition_drifts(inside, row, expected[written])]
            else:
                drifts.append(f"{written} is no {'table' if row['oid'] is None else 'partitioned table'}")
        return drifts

    return await _everywhere(session, expected, look)


async def _partition_drifts(session: OperationSession, table: Row, expected: Partitioning) -> list[str]:
    if expected.ahead is None and expected.retention is None:
        return []
    [key] = await session.rows(_PARTITION_KEY, table["oid"])
    if not key["by_time"]:
        return ["is not partitioned by ranges of time: how far they reach cannot be checked"]
    [row] = await session.rows(_PARTITIONS, table["oid"], expected.ahead or 0.0, expected.retention or 0.0)
    drifts = []
    if expected.ahead is not None and not row["far_enough"]:
        reach = "has no bounds" if row["ahead"] is None else f"reaches {row['ahead'] / _DAY:.1f} days ahead"
        drifts.append(f"{reach}, expected {expected.ahead / _DAY:g}")
    if expected.retention is not None and row["overdue"]:
        days = f"{expected.retention / _DAY:g} days"
        drifts.append(f"has partitions older than {days}: {row['overdue']}, the oldest is {row['oldest']}")
    return drifts


async def _schema_version(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    expected = session.target.expect.schema_version
    assert expected is not None, "the target expects no schema_version"  # noqa: S101 - its query has `when: configured`

    async def look(inside: OperationSession, names: Written) -> list[str]:
        drifts = []
        for row in await inside.rows(_RELATIONS, list(names), _READABLE):
            drift = "is no table" if row["oid"] is None else await _version_drift(inside, row, expected)
            drifts += [f"{expected.table} {drift}"] if drift else []
        return drifts

    return await _everywhere(session, [expected.table], look)


async def _version_drift(session: OperationSession, table: Row, expected: SchemaVersion) -> str | None:
    columns = await session.rows(_COLUMN, table["oid"], expected.column)
    if not columns:
        return f"has no column {expected.column}"
    [column] = columns
    if not column["readable"]:
        return "cannot be read: the privileges SELECT on it and USAGE on its schema are missing"
    # The server has quoted both names, which are in its catalogue. The table may be a view, the column may have a
    # type of its own: reading them may call functions of their owner.
    text = f"{column['column']}::pg_catalog.text"
    statement = f"SELECT EXISTS (SELECT FROM {table['place']} WHERE {text} OPERATOR(pg_catalog.=) $1) AS met"  # noqa: S608
    [row] = await session.users_rows(statement, expected.value, most=1)
    return None if row["met"] else f"has no {expected.column} {expected.value}"


async def _everywhere(session: OperationSession, written: Iterable[str], look: Look) -> Sequence[Row]:
    """Look for `[database:]name` in each database, one after another; one that cannot be entered is a drift a name."""
    places: dict[str | None, dict[str, str]] = {}
    for text in written:
        database, _, name = text.partition(":") if ":" in text else ("", "", text)
        places.setdefault(database or None, {})[name] = text
    drifts: list[str] = []
    for place, names in places.items():
        closed = None if place is None else await _closed(session, place)
        if closed:
            drifts += [f"{text} cannot be looked for: {closed}" for text in names.values()]
        else:
            drifts += await look(session.in_database(place), names)
    return drift_row(drifts)


async def _closed(session: OperationSession, database: str) -> str | None:
    rows = await session.rows(_ENTRANCE, database)
    if not rows:
        return "there is no such database"
    if not rows[0]["open"]:
        return "the database takes no connections"
    return None if rows[0]["allowed"] else "the privilege CONNECT on the database is missing"


def drift_row(drifts: Iterable[str]) -> Sequence[Row]:
    """Return the one row of a kind: the number of drifts, and each in words."""
    findings = list(drifts)
    return [{"broken": float(len(findings)), "findings": findings}]


OBJECTS: Mapping[str, Operation] = {
    "expected_extensions": Operation(_extensions),
    "expected_tables": Operation(_tables),
    "expected_indexes": Operation(_indexes),
    "expected_partitioned_tables": Operation(_partitioned_tables),
    "expected_row_level_security": Operation(_row_level_security),
    "expected_schema_version": Operation(_schema_version),
}
