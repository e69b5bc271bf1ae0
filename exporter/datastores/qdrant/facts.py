"""The facts of a Qdrant server: version, start, role, capabilities, missing privileges."""

from collections.abc import Mapping

import httpx

from exporter.datastores.json_text import at, timestamp
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


async def read_facts(connection: Connection) -> ServerInfo:
    """Read the pages with the facts; only the one with the version must come.

    The role is empty where neither page that contains it came.
    """
    root = await connection.json("/")
    version = at(root, "version")
    if not isinstance(version, str) or not 0 < len(version) <= _LONGEST_VERSION:
        raise QueryError("decode", "the server does not state its version: it is no Qdrant")
    telemetry = await _page_or_error(connection, "/telemetry?details_level=1")
    cluster = await _page_or_error(connection, "/cluster")
    enabled = _cluster_enabled(telemetry, cluster)
    return ServerInfo(
        version=version,
        role={True: "peer", False: "single", None: ""}[enabled],
        started_at=timestamp(at(telemetry, "app", "startup")),
        capabilities={
            "cluster": _cluster_capability(enabled, cluster),
            "disk_space": "the server does not tell how much disk space is left",
            **{name: _capability(version, since) for name, since in _SINCE.items()},
        },
        missing_privileges={"global read": _GLOBAL_READ} if _is_forbidden(telemetry) or _is_forbidden(cluster) else {},
    )


async def _page_or_error(connection: Connection, path: str) -> object:
    try:
        return await connection.json(path, seconds=_PAGE_SECONDS)
    except (QueryError, httpx.HTTPError) as error:
        return error


def _is_forbidden(page: object) -> bool:
    return isinstance(page, QueryError) and page.reason == "privilege"


def _cluster_enabled(telemetry: object, cluster: object) -> bool | None:
    if not isinstance(cluster, Exception | None):
        return bool(at(cluster, "status") == "enabled")
    enabled = at(telemetry, "cluster", "enabled")
    return enabled if isinstance(enabled, bool) else None


def _cluster_capability(enabled: bool | None, cluster: object) -> str:  # noqa: FBT001 - three states, not a flag
    if _is_forbidden(cluster):
        return "the API key may not read /cluster"
    return {True: "", False: "cluster mode is disabled", None: "/cluster did not answer"}[enabled]


def _capability(version: str, since: str) -> str:
    return "" if version_satisfies(version, since) else f"needs version {since}"
