"""What is known about a server beyond that it answers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neo4j.exceptions import Neo4jError

from exporter.datastores.neo4j.connection import Connection
from exporter.datastores.neo4j.errors import reason_of
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Row
from exporter.versions import version_satisfies

SYSTEM = "system"

_PING = "CALL db.ping() YIELD success RETURN timestamp() AS told"
# The start time in the same round trip shows a restart that fell between two pings.
_PING_AND_START = """
CALL db.ping() YIELD success
CALL dbms.queryJmx('java.lang:type=Runtime') YIELD attributes
RETURN attributes.StartTime.value AS started, timestamp() AS told
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
_ENTERPRISE_ONLY = (
    "bolt_metrics",
    "checkpoints",
    "cluster",
    "failed_queries",
    "memory_pools",
    "page_cache",
)
_NOT_TOLD = {
    "disk_space": "the server does not tell the free space of its disks",
    "store_size": "the server does not tell; Enterprise's metrics and APOC Extended do",
}


class SignOfLife(NamedTuple):
    """When the server started, where that is to be had, and what time it was for it, both as Unix time."""

    started_at: float | None
    told_at: float | None


async def round_trip(connection: Connection, known: ServerInfo | None, seconds: float) -> SignOfLife:
    """Ask the home database for a sign of life."""
    if known is None or known.started_at is None:
        rows = await connection.run(_PING, None, seconds)
        return SignOfLife(None, _moment(rows, "told"))
    rows = await connection.run(_PING_AND_START, None, seconds)
    return SignOfLife(_moment(rows, "started"), _moment(rows, "told"))


async def closed_home(connection: Connection, error: Neo4jError, seconds: float) -> str:
    """Return what `home_state` says after an error of the home database; raise the error where that is open."""
    closed = await home_state(connection, seconds) if reason_of(error) == "connect" else None
    if closed is None:
        raise error
    return closed


async def home_state(connection: Connection, seconds: float) -> str | None:
    """Return None where the home database is open, else its name and status, or "" where it was closed on purpose.

    The system database knows: it answers while the others cannot start.
    """
    rows = await connection.run(_HOME, SYSTEM, seconds)
    meant = [row for row in rows if row["requested"] == "online"]
    return f"{meant[0]['name']}: {meant[0]['status']}" if meant else "" if rows else None


async def read_facts(connection: Connection, seconds: float, *, home_open: bool = True) -> ServerInfo:
    kernel = next(row for row in await connection.run(_COMPONENTS, SYSTEM, seconds) if row["name"] == _KERNEL)
    version, edition = str(kernel["versions"][0]), str(kernel["edition"])  # type: ignore[index]  # a list of strings
    procedures = await _told(connection, _PROCEDURES, SYSTEM, seconds)
    names = procedures if isinstance(procedures, str) else {str(row["name"]) for row in procedures}
    start = await _told(connection, _START, SYSTEM, seconds)
    # A closed database is not asked: the server would wait two seconds for it.
    statistics = await _told(connection, _STATISTICS, None, seconds) if home_open else "its database is not online"
    return ServerInfo(
        version=version,
        edition=edition,
        # A server's first SHOW DATABASES may take seconds: not asked where the answer is known.
        role="primary" if edition == _COMMUNITY else await _role(connection, seconds),
        started_at=None if isinstance(start, str) else _moment(start, "started"),
        capabilities={
            **_capabilities_by_edition(edition),
            **_capabilities_by_version(version),
            **_NOT_TOLD,
            "apoc": names if isinstance(names, str) else _apoc(names),
            "jmx": start if isinstance(start, str) else "",
            "query_stats": statistics if isinstance(statistics, str) else _collecting(statistics),
        },
    )


async def _role(connection: Connection, seconds: float) -> str:
    """Return the role of the home database's copies; of a cluster's several roles none is this server's for sure."""
    rows = await _told(connection, _ROLES, SYSTEM, seconds)
    return str(rows[0]["role"] or "") if not isinstance(rows, str) and len(rows) == 1 else ""


async def _told(connection: Connection, text: str, database: str | None, seconds: float) -> list[Row] | str:
    """Return the rows, or why the server will not tell."""
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
    told = rows[0][column] if rows else None
    return told / 1000 if isinstance(told, int) else None


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
