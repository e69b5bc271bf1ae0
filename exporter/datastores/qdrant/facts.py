"""The facts of a Qdrant server: version, start, role, capabilities, missing privileges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from exporter.datastores.json_path import at, timestamp
from exporter.datastores.qdrant.connection import Connection
from exporter.errors import QueryError
from exporter.queries.conditions import ServerInfo
from exporter.versions import version_satisfies

# A page that hangs must not make the ping fail: only this one fact is missing then.
_PAGE_SECONDS = 1.0
_LONGEST_VERSION = 100  # characters
_SINCE: Mapping[str, str] = {
    "search": ">=1.10",
    "process_metrics": ">=1.16",
    "update_queue": ">=1.17",
    "collection_memory": ">=1.18",
}
_GLOBAL_READ = 'use the read_only_api_key, or a JWT with {"access": "r"} instead of access to single collections'


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, None where it could not be read, and whether the key may not read it."""

    page: Any = None
    privilege: bool = False


async def read_facts(connection: Connection) -> ServerInfo:
    """Read the pages with the facts; only the one with the version must come.

    The role is empty where neither page that contains it came.
    """
    root = await connection.json("/")
    version = at(root, "version")
    if not isinstance(version, str) or not 0 < len(version) <= _LONGEST_VERSION:
        raise QueryError("decode", "the server does not state its version: it is no Qdrant")
    telemetry = await _optional(connection, "/telemetry?details_level=1")
    cluster = await _optional(connection, "/cluster")
    enabled = _cluster_enabled(telemetry, cluster)
    refused = telemetry.privilege or cluster.privilege
    return ServerInfo(
        version=version,
        role={True: "peer", False: "single", None: ""}[enabled],
        started_at=timestamp(at(telemetry.page, "app", "startup")),
        capabilities={
            "cluster": _cluster_capability(enabled, cluster),
            "disk_space": "the server does not tell how much disk space is left",
            **{name: _capability(version, since) for name, since in _SINCE.items()},
        },
        missing_privileges={"global read": _GLOBAL_READ} if refused else {},
    )


async def _optional(connection: Connection, path: str) -> Answer:
    try:
        return Answer(await connection.json(path, seconds=_PAGE_SECONDS))
    except QueryError as error:
        return Answer(privilege=error.reason == "privilege")
    except httpx.HTTPError:
        return Answer()


def _cluster_enabled(telemetry: Answer, cluster: Answer) -> bool | None:
    if cluster.page is not None:
        return bool(at(cluster.page, "status") == "enabled")
    enabled = at(telemetry.page, "cluster", "enabled")
    return enabled if isinstance(enabled, bool) else None


def _cluster_capability(enabled: bool | None, cluster: Answer) -> str:  # noqa: FBT001 - three states, not a flag
    if cluster.privilege:
        return "the API key may not read /cluster"
    return {True: "", False: "cluster mode is disabled", None: "/cluster did not answer"}[enabled]


def _capability(version: str, since: str) -> str:
    return "" if version_satisfies(version, since) else f"needs version {since}"
