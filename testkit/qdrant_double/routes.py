"""The server's routes: who answers, and which key it takes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from starlette.routing import compile_path

from testkit.qdrant_double import cluster, points, snapshots
from testkit.qdrant_double import collection_routes as collections
from testkit.qdrant_double.calls import Call, Json, Refused
from testkit.qdrant_double.exposition import exposition
from testkit.qdrant_double.state import State
from testkit.qdrant_double.telemetry import telemetry

Handler = Callable[[State, Call], Any]
Access = Literal["open", "read", "write"]
COMMIT = "db8fa43fcb6aedec1e739487e17a99731b74590a"
COLLECTION = "/collections/{collection_name}"


@dataclass(frozen=True)
class Route:
    """A method and path template with its handler; `raw` answers come without the usual envelope."""

    method: str
    template: str
    handler: Handler
    access: Access = "read"
    raw: bool = False

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the path's variables, or None when the request is for another route."""
        found = _pattern(self.template).match(path) if method == self.method else None
        return None if found is None else found.groupdict()


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return compile_path(template)[0]


def root(state: State, _: Call) -> Json:
    return {"title": "qdrant - vector search engine", "version": state.version, "commit": COMMIT}


def alive(_state: State, _: Call) -> str:
    return "healthz check passed"


def ready(state: State, _: Call) -> str:
    if not state.scene.ready:
        raise Refused(503, "some shards are not ready")
    return "all shards are ready"


def issues(_state: State, _: Call) -> Json:
    return {"issues": []}


def cluster_status(state: State, _: Call) -> Json:
    return cluster.status(state)


def cluster_telemetry(state: State, _: Call) -> Json:
    if not state.has("1.17"):
        raise Refused(404, "")
    return cluster.distributed(state)


ROUTES = (
    Route("GET", "/", root, "open", raw=True),
    Route("GET", "/healthz", alive, "open", raw=True),
    Route("GET", "/livez", alive, "open", raw=True),
    Route("GET", "/readyz", ready, "open", raw=True),
    Route("GET", "/metrics", exposition, raw=True),
    Route("GET", "/telemetry", telemetry),
    Route("GET", "/issues", issues),
    Route("GET", "/cluster", cluster_status),
    Route("GET", "/cluster/telemetry", cluster_telemetry),
    Route("GET", "/aliases", collections.aliases),
    Route("GET", "/snapshots", snapshots.full),
    Route("GET", "/collections", collections.every),
    Route("GET", COLLECTION, collections.describe),
    Route("PUT", COLLECTION, collections.create, "write"),
    Route("PATCH", COLLECTION, collections.configure, "write"),
    Route("DELETE", COLLECTION, collections.delete, "write"),
    Route("GET", f"{COLLECTION}/exists", collections.exists),
    Route("GET", f"{COLLECTION}/aliases", collections.aliases),
    Route("GET", f"{COLLECTION}/cluster", collections.shards),
    Route("GET", f"{COLLECTION}/shards", collections.shard_keys),
    Route("GET", f"{COLLECTION}/memory", collections.memory_use),
    Route("GET", f"{COLLECTION}/optimizations", collections.optimizations),
    Route("GET", f"{COLLECTION}/snapshots", snapshots.every),
    Route("POST", f"{COLLECTION}/snapshots", snapshots.create, "write"),
    Route("DELETE", f"{COLLECTION}/snapshots/{{snapshot_name}}", snapshots.delete, "write"),
    Route("PUT", f"{COLLECTION}/index", points.create_index, "write"),
    Route("DELETE", f"{COLLECTION}/index/{{field_name}}", points.delete_index, "write"),
    Route("PUT", f"{COLLECTION}/points", points.upsert, "write"),
    Route("POST", f"{COLLECTION}/points", points.retrieve),
    Route("POST", f"{COLLECTION}/points/delete", points.delete, "write"),
    Route("POST", f"{COLLECTION}/points/payload", points.set_payload, "write"),
    Route("PUT", f"{COLLECTION}/points/payload", points.overwrite_payload, "write"),
    Route("POST", f"{COLLECTION}/points/payload/clear", points.clear_payload, "write"),
    Route("POST", f"{COLLECTION}/points/query", points.query),
    Route("POST", f"{COLLECTION}/points/query/batch", points.query_batch),
    Route("POST", f"{COLLECTION}/points/scroll", points.scroll),
    Route("POST", f"{COLLECTION}/points/count", points.count),
    Route("POST", f"{COLLECTION}/facet", points.facet),
    Route("GET", f"{COLLECTION}/points/{{id}}", points.one_point),
)
