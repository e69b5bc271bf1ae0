"""The round trip of a ping, and the facts of a server: version, edition, role, start, capabilities."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neo4j.exceptions import Neo4jError

from exporter.datastores.neo4j.connection import Connection
from exporter.datastores.neo4j.errors import reason_of
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Row
from exporter.versions import version_satisfies

SYSTEM = "system"

_PING = "CALL db.ping() YIELD success RETURN timestamp() AS now"
# The start time in the same round trip shows a restart that fell between two pings.
_PING_AND_START = """
CALL db.ping() YIELD success
CALL dbms.queryJmx('java.lang:type=Runtime') YIELD attributes
RETURN attributes.StartTime.value AS started, timestamp() AS now
"""
_START = "CALL dbms.queryJmx('java.lang:type=Runtime') YIELD attributes RETURN attributes.StartTime.value AS started"
_COMPONENTS = "CALL dbms.components() YIELD name, versions, edition RETURN name, versions, edition"
_PROCEDURES = "SHOW PROCEDURES YIELD name RETURN name"
_ROLES = "SHOW DATABASES YIELD home, role WHERE home RETURN DISTINCT role"
_HOME = """
SHOW DATABASES YIELD name, home, requestedStatus, currentStatus
WHERE home AND currentStatus <> 'online'
RETURN name, requestedStatus AS requested, currentStatus AS status
"""
_STATISTICS = "CALL db.stats.status() YIELD section, status RETURN section, status"

_KERNEL = "Neo4j Kernel"  # from 2025.05 on there is a second component, Cypher
_COMMUNITY = "community"
_ENTERPRISE_ONLY = ("bolt_metrics", "checkpoints", "cluster", "failed_queries", "memory_pools", "page_cache")
_NEVER_AVAILABLE = {
    "disk_space": "the server does not tell the free space of its disks",
    "store_size": "the server does not tell; Enterprise's metrics and APOC Extended do",
}


class RoundTrip(NamedTuple):
    """When the server started, None where that is unknown, and its clock, both as Unix time."""

    started_at: float | None
    server_time: float | None


async def round_trip(connection: Connection, known: ServerInfo | None, seconds: float) -> RoundTrip:
    """Run a statement in the home database."""
    if known is None or known.started_at is None:
        rows = await connection.run(_PING, None, seconds)
        return RoundTrip(None, _moment(rows, "now"))
    rows = await connection.run(_PING_AND_START, None, seconds)
    return RoundTrip(_moment(rows, "started"), _moment(rows, "now"))


async def closed_home(connection: Connection, error: Neo4jError, seconds: float) -> str:
    """Return what `home_state` says after an error of the home database; raise the error where that is open."""
    closed = await home_state(connection, seconds) if reason_of(error) == "connect" else None
    if closed is None:
        raise error
    return closed


async def home_state(connection: Connection, seconds: float) -> str | None:
    """Return None where the home database is open, else its name and status, or "" where it was closed on purpose.

    The system database knows; it is open while the others cannot start.
    """
    rows = await connection.run(_HOME, SYSTEM, seconds)
    meant = [row for row in rows if row["requested"] == "online"]
    return f"{meant[0]['name']}: {meant[0]['status']}" if meant else "" if rows else None


async def read_facts(connection: Connection, seconds: float, *, home_open: bool = True) -> ServerInfo:
    """Read the facts; those that the server does not offer, or the user may not read, become reasons."""
    kernel = next(row for row in await connection.run(_COMPONENTS, SYSTEM, seconds) if row["name"] == _KERNEL)
    version, edition = str(kernel["versions"][0]), str(kernel["edition"])  # type: ignore[index]  # a list of strings
    procedures = await _rows_or_reason(connection, _PROCEDURES, SYSTEM, seconds)
    names = procedures if isinstance(procedures, str) else {str(row["name"]) for row in procedures}
    start = await _rows_or_reason(connection, _START, SYSTEM, seconds)
    # Not read of a closed database: the server would wait two seconds for it.
    statistics = (
        await _rows_or_reason(connection, _STATISTICS, None, seconds) if home_open else "its database is not online"
    )
    return ServerInfo(
        version=version,
        edition=edition,
        # Not read where it is known: a server's first SHOW DATABASES may take seconds.
        role="primary" if edition == _COMMUNITY else await _role(connection, seconds),
        started_at=None if isinstance(start, str) else _moment(start, "started"),
        capabilities={
            **_capabilities_by_edition(edition),
            **_capabilities_by_version(version),
            **_NEVER_AVAILABLE,
            "apoc": names if isinstance(names, str) else _apoc(names),
            "jmx": start if isinstance(start, str) else "",
            "query_stats": statistics if isinstance(statistics, str) else _collecting(statistics),
        },
    )


async def _role(connection: Connection, seconds: float) -> str:
    """Return the role of the home database's copies; in a cluster with several roles this server's is unknown."""
    rows = await _rows_or_reason(connection, _ROLES, SYSTEM, seconds)
    return str(rows[0]["role"] or "") if not isinstance(rows, str) and len(rows) == 1 else ""


async def _rows_or_reason(connection: Connection, text: str, database: str | None, seconds: float) -> list[Row] | str:
    """Return the rows, or why there are none."""
    try:
        return await connection.run(text, database, seconds)
    except Neo4jError as error:
        reason = reason_of(error)
        if reason == "privilege":
            return "the user may not execute this"
        if reason in ("query", "unsupported"):
            return "this server does not offer it"
        raise


def _moment(rows: Sequence[Row], column: str) -> float | None:
    milliseconds = rows[0][column] if rows else None
    return milliseconds / 1000 if isinstance(milliseconds, int) else None


def _capabilities_by_edition(edition: str) -> Mapping[str, str]:
    reason = "Enterprise only" if edition == _COMMUNITY else "not read here; the server's own metrics endpoint has it"
    return dict.fromkeys(_ENTERPRISE_ONLY, reason)


def _capabilities_by_version(version: str) -> Mapping[str, str]:
    needed = {"show_settings": ">=5.6", "index_usage": ">=5.8"}
    return {
        name: "" if version_satisfies(version, specifier) else f"needs version {specifier}"
        for name, specifier in needed.items()
    }


def _apoc(procedures: set[str]) -> str:
    return "" if any(name.startswith("apoc.") for name in procedures) else "APOC is not installed"


def _collecting(rows: Sequence[Row]) -> str:
    status = next((row["status"] for row in rows if row["section"] == "QUERIES"), None)
    return "" if status == "collecting" else "collection is off; CALL db.stats.collect('QUERIES') starts it"
