"""The facts that a ping returns about a PostgreSQL server."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.config.targets import Globs
from exporter.datastores.pgwire.encoding import is_replaced
from exporter.datastores.postgres.connection import LaneConnection
from exporter.datastores.postgres.extensions import Extension
from exporter.errors import QueryError
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Row

# Databases with datconnlimit -2 are the remains of a DROP DATABASE that was interrupted.
# A revoked grant shows at once: without it few statements fail, most return fewer rows.
PING = """
SELECT
    current_setting('server_version') AS version,
    pg_is_in_recovery() AS is_replica,
    extract(epoch FROM pg_postmaster_start_time())::float8 AS started_at,
    extract(epoch FROM clock_timestamp())::float8 AS server_time,
    ARRAY(
        SELECT datname::text FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY datname
    ) AS databases,
    ARRAY(
        SELECT octet_length(datname::text)::text FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2 ORDER BY datname
    ) AS octets,
    ARRAY(
        SELECT rolname::text FROM pg_roles
        WHERE rolname IN ('pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables')
            AND NOT pg_has_role(oid, 'usage')
    ) AS not_granted,
    ARRAY(
        SELECT name || '=' || current_setting(name, true)
        FROM unnest(ARRAY[
            'track_activities', 'track_counts', 'track_io_timing', 'track_wal_io_timing', 'track_cost_delay_timing',
            'pg_stat_statements.track_planning'
        ]) AS name
        WHERE current_setting(name, true) IS NOT NULL
    ) AS tracked
"""
_FACTS = """
SELECT
    current_user::text AS role,
    current_database()::text AS database,
    (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS preloaded,
    current_setting('pg_stat_statements.track', true) AS statements_tracked,
    has_table_privilege('pg_file_settings', 'SELECT')
        AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AS pg_file_settings,
    ARRAY(
        SELECT datname::text FROM pg_database
        WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2
            AND NOT has_database_privilege(oid, 'CONNECT')
    ) AS closed
"""
_VERSION = re.compile(r"[1-9][0-9]?([.+a-z-][0-9A-Za-z.+-]{0,60})?")
_NO_FILE_SETTINGS = "needs SELECT on pg_file_settings and EXECUTE on pg_show_all_file_settings(), beyond pg_monitor"


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that change rarely: privileges, capabilities, extensions of the URL's database."""

    capabilities: Mapping[str, str]
    missing_privileges: Mapping[str, str]
    extensions: Mapping[str, str]
    closed: frozenset[str]  # databases that the role may not connect to


async def read_facts(connection: LaneConnection, databases: Globs, not_granted: Sequence[str]) -> Facts:
    [row] = await connection.rows(_FACTS)
    extensions = await connection.extensions(fresh=True)
    closed = frozenset(names(row["closed"]))
    return Facts(
        capabilities=_capabilities(row, extensions),
        missing_privileges=_missing_privileges(row, extensions, not_granted, filter(databases.matches, closed)),
        extensions={name: extension.version for name, extension in extensions.items()},
        closed=closed,
    )


def server_info(ping: Row, facts: Facts, tls_not_after: float | None = None) -> ServerInfo:
    started_at = ping["started_at"]
    version = str(ping["version"]).partition(" ")[0]  # packagers append their own: "15.19 (Debian 15.19-1)"
    if not _VERSION.fullmatch(version):
        raise QueryError("decode", "the server does not say a version of PostgreSQL that can be read")
    return ServerInfo(
        version=version,
        role="replica" if ping["is_replica"] else "primary",
        started_at=started_at if isinstance(started_at, float) else None,
        identity=str(started_at),
        capabilities={**facts.capabilities, **_tracking(names(ping["tracked"]))},
        missing_privileges=facts.missing_privileges,
        extensions=facts.extensions,
        tls_not_after=tls_not_after,
    )


def skew_of(ping: Row, began: float, ended: float) -> float | None:
    """Return how many seconds the server's clock is ahead of ours, which was read before and after the ping."""
    server_time = ping["server_time"]
    return server_time - (began + ended) / 2 if isinstance(server_time, float) else None


def open_databases(ping: Row, facts: Facts, databases: Globs) -> tuple[str, ...]:
    """Name the databases to visit: those configured that accept connections and have a readable name."""
    return tuple(
        name
        for name, octets in zip(names(ping["databases"]), names(ping["octets"]), strict=True)
        if databases.matches(name) and name not in facts.closed and not is_replaced(name, int(octets))
    )


def _capabilities(row: Row, extensions: Mapping[str, Extension]) -> dict[str, str]:
    return {
        "pg_file_settings": "" if row["pg_file_settings"] else _NO_FILE_SETTINGS,
        "pg_stat_statements": _statements_reason(row, extensions),
        "statement_timeouts": "the server's views do not count the statements that a timeout ended",
    }


def _tracking(settings: Iterable[str]) -> dict[str, str]:
    """Return what the server measures; a counter that it does not measure stays 0, and is no sample."""
    pairs = (setting.split("=", 1) for setting in settings)
    return {name.rpartition(".")[2]: "" if value == "on" else f"{name} is off" for name, value in pairs}


def _statements_reason(row: Row, extensions: Mapping[str, Extension]) -> str:
    preloaded = row["preloaded"]  # NULL to a role that may not see it
    if isinstance(preloaded, str) and "pg_stat_statements" not in preloaded:
        return "pg_stat_statements is not in shared_preload_libraries"
    if row["statements_tracked"] == "none":
        return "pg_stat_statements.track is none"
    if "pg_stat_statements" not in extensions:
        database = row["database"]
        return (
            f"extension pg_stat_statements is not installed in database {database}: CREATE EXTENSION pg_stat_statements"
        )
    return ""


def _missing_privileges(
    row: Row, extensions: Mapping[str, Extension], not_granted: Iterable[str], closed: Iterable[str]
) -> dict[str, str]:
    role = _quoted(str(row["role"]))
    missing = {name: f"GRANT {name} TO {role}" for name in not_granted}
    statements = extensions.get("pg_stat_statements")
    if statements is not None and not statements.usable:
        missing[f"use schema {statements.schema}"] = f"GRANT USAGE ON SCHEMA {statements.schema} TO {role}"
    for name in closed:
        missing[f"connect to {name}"] = f"GRANT CONNECT ON DATABASE {_quoted(name)} TO {role}"
    return missing


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def names(value: object) -> list[str]:
    assert isinstance(value, list)  # noqa: S101 - an ARRAY(...) is never anything else
    return value
