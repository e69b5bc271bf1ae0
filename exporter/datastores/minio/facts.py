"""What a server is, which pages it has and which of them our keys may read, beyond the round trip of a ping."""

import asyncio
import json
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from exporter.datastores.json_text import Json, at, number, objects
from exporter.datastores.minio.connection import NO_KEYS, Connection
from exporter.datastores.off_loop import off_loop
from exporter.datastores.prometheus_text import NativePage
from exporter.datastores.s3.response import ErrorResponse
from exporter.errors import QueryError
from exporter.queries.conditions import ServerInfo

_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "metrics": "admin:Prometheus",
        "info": "admin:ServerInfo",
        "usage": "admin:DataUsageInfo",
        "account": "s3:GetBucketLocation",
    }
)
_Identity = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What read_facts found; `denied` names the pages that our keys may not read.

    drives_per_set: the size of an erasure set, by pool.
    identity: each node's start time, empty when unknown; with another one the rest is out of date.
    bucket: the name of one that our keys may list, empty where there is none.
    complete: False when a page was not read in time, or something other than an S3 server responded.
    """

    info: ServerInfo
    denied: frozenset[str]
    drives_per_set: Sequence[int]
    identity: _Identity
    bucket: str
    complete: bool


async def read_facts(connection: Connection, seconds: float) -> Facts:
    """Read each page once, as many as the seconds allow; a page that is not known to be missing counts as available."""
    live = await _outcome(connection.health("live"))
    if isinstance(live, ErrorResponse) and live.lacks_endpoint:
        return _not_minio(connection)
    answers = await _read_pages(connection, seconds)
    page = answers.get("metrics")
    return await off_loop(page.size if isinstance(page, NativePage) else 0, _facts, connection, live, answers)


def _facts(connection: Connection, live: object, answers: Mapping[str, object]) -> Facts:
    denied = frozenset(name for name, answer in answers.items() if _is_denied(answer))
    account, page, info = answers.get("account"), answers.get("metrics"), answers.get("info")
    if _sees_no_bucket(account, answers.get("usage")):
        denied |= {"account"}
    server = ServerInfo(
        version=_version(info, page),
        role=_role(info, page, account),
        edition=_edition(info),
        started_at=_started_at(info, page),
        capabilities=_capabilities(connection, answers),
        missing_privileges=_missing(denied) if connection.keys else {},
    )
    return Facts(
        info=server,
        denied=denied,
        drives_per_set=_drives_per_set(account),
        identity=identity_of(page),
        bucket=_some_bucket(account),
        complete=set(answers) >= set(_pages(connection)) and not any(map(_is_not_s3, (live, *answers.values()))),
    )


def identity_of(page: object) -> _Identity:
    if not isinstance(page, NativePage):
        return ()
    starts = page.samples("minio_node_process_starttime_seconds")
    return tuple(sorted((labels.get("server", ""), value) for _, labels, value in starts))


def _pages(connection: Connection) -> Sequence[str]:
    """Return the names of the pages, the cheap ones first; admin calls need keys."""
    return ("usage", "account", "info", "metrics") if connection.keys else ("metrics",)


async def _read_pages(connection: Connection, seconds: float) -> Mapping[str, object]:
    answers: dict[str, object] = {}
    try:
        async with asyncio.timeout(seconds):
            for name in _pages(connection):
                answers[name] = await _outcome(connection.page(name))
    except TimeoutError:
        pass  # the queries that need the page report it
    return answers


async def _outcome(reading: Awaitable[object]) -> object:
    try:
        return await reading
    except (ErrorResponse, QueryError) as error:
        return error


def _is_denied(answer: object) -> bool:
    return isinstance(answer, ErrorResponse) and answer.denied


def _is_not_s3(answer: object) -> bool:
    return isinstance(answer, ErrorResponse) and answer.not_s3


def _some_bucket(account: object) -> str:
    buckets = objects(account, "Buckets")
    return str(buckets[0].get("name", "")) if buckets else ""


def _not_minio(connection: Connection) -> Facts:
    missing = "the server has no MinIO endpoints"
    capabilities = {"health": missing, "metrics": missing, "admin": missing, "s3": "" if connection.keys else NO_KEYS}
    return Facts(ServerInfo(version="", capabilities=capabilities), frozenset(), (), (), "", complete=True)


def _capabilities(connection: Connection, answers: Mapping[str, object]) -> dict[str, str]:
    without_keys = "" if connection.keys else NO_KEYS
    metrics = answers.get("metrics")
    return {
        "health": "",
        "metrics": without_keys
        if isinstance(metrics, ErrorResponse) and metrics.denied
        else _why_not(metrics, "metrics v2"),
        "admin": without_keys or _why_not(answers.get("account"), "MinIO admin API"),
        "s3": without_keys,
    }


def _why_not(answer: object, what: str) -> str:
    """Return that an API is missing, only when the server said so: a refusal or a failure does not prove it."""
    return f"the server has no {what}" if isinstance(answer, ErrorResponse) and answer.not_found else ""


def _missing(denied: Iterable[str]) -> dict[str, str]:
    return {_ACTIONS[name]: _statement(_ACTIONS[name]) for name in sorted(denied)}


def _statement(action: str) -> str:
    statement: dict[str, object] = {"Effect": "Allow", "Action": [action]}
    if action.startswith("s3:"):
        statement["Resource"] = ["arn:aws:s3:::*"]
    return json.dumps(statement)


def _sees_no_bucket(account: object, usage: object) -> bool:
    """Return whether our keys may list none of the buckets that the scanner counted; hiding some may be intended."""
    if not isinstance(account, Mapping) or not isinstance(usage, Mapping):
        return False
    return not objects(account, "Buckets") and bool(usage.get("bucketsUsageInfo"))


def _nodes(info: object) -> Sequence[Json]:
    return objects(info, "servers")


def _version(info: object, page: object) -> str:
    """Return the lowest version of the cluster's nodes, so that a query's condition holds for all of them."""
    versions = [str(node["version"]) for node in _nodes(info) if node.get("version")]
    if not versions and isinstance(page, NativePage):
        versions = [labels.get("version", "") for _, labels, _ in page.samples("minio_software_version_info")]
    return min(versions, default="")


def _edition(info: object) -> str:
    editions = {str(node.get("edition", "")) for node in _nodes(info)}
    return (max(editions) or "community").lower() if editions else ""


def _role(info: object, page: object, account: object) -> str:
    """Return distributed, single-node or single-drive; empty when unknown."""
    nodes = float(len(_nodes(info)))
    if not nodes and isinstance(page, NativePage):
        counts = [page.value(f"minio_cluster_nodes_{state}_total") for state in ("online", "offline")]
        nodes = sum(count or 0.0 for count in counts)
    if not nodes:
        return ""
    if nodes > 1:
        return "distributed"
    return "single-drive" if tuple(_drives_per_set(account)) == (1,) else "single-node"


def _drives_per_set(account: object) -> Sequence[int]:
    found = at(account, "Server", "DrivesPerSet")
    return tuple(size for size in found if isinstance(size, int)) if isinstance(found, list) else ()


def _started_at(info: object, page: object) -> float | None:
    """Return when the last node started: behind one address, any node's restart is a change."""
    starts = [value for _, value in identity_of(page)]
    uptimes = [uptime for node in _nodes(info) if (uptime := number(node, "uptime")) is not None]
    if not starts and uptimes:
        starts = [time.time() - min(uptimes)]
    return max(starts, default=None)
