"""Rows about the server itself and about the cluster as this peer sees it."""

from exporter.datastores.json_text import Json, at, number, scaled, timestamp
from exporter.errors import QueryError
from exporter.queries.health_rule import Status
from exporter.queries.query import Row
from exporter.versions import version_satisfies

_READY = {200: 1.0, 503: 0.0}
_NOT_FOUND = 404
RAFT_ROLES = ("Leader", "Follower", "Candidate", "PreCandidate")
_KIB = 1024.0


def server_rows(telemetry: Json, version: str) -> list[Row]:
    app = at(telemetry, "app")
    return [
        {
            "cluster_enabled": number(telemetry, "cluster", "enabled"),
            "recovery_mode": number(app, "features", "recovery_mode"),
            "cpu_cores": number(app, "system", "cores"),
            "cpu_cores_used": number(app, "system", "cpu_cores_used"),
            "ram_bytes": scaled(number(app, "system", "ram_size"), _KIB),
            "disk_bytes": scaled(number(app, "system", "disk_size"), _KIB),
            "memory_used_ratio": _memory_used_ratio(telemetry, version),
        }
    ]


def _memory_used_ratio(telemetry: Json, version: str) -> float | None:
    """Divide the heap by the machine's memory; None where the server's limit is another.

    Before 1.19 a server in a container reports the memory of the whole machine, not its own limit.
    """
    system = at(telemetry, "app", "system")
    if at(system, "is_docker") is not False and not version_satisfies(version, ">=1.19"):
        return None
    resident, ram = number(telemetry, "memory", "resident_bytes"), number(system, "ram_size")
    return resident / (ram * _KIB) if resident is not None and ram else None


def memory_rows(telemetry: Json) -> list[Row]:
    memory = at(telemetry, "memory") or {}
    return [
        {"kind": kind, "bytes": number(memory, f"{kind}_bytes")}
        for kind in ("active", "allocated", "metadata", "resident", "retained")
        if f"{kind}_bytes" in memory
    ]


def ready_rows(status: int) -> list[Row]:
    """Return whether the server is ready, by the status code of /readyz."""
    if status not in _READY:
        raise QueryError("unsupported" if status == _NOT_FOUND else "query", f"/readyz answered {status}")
    return [{"ready": _READY[status]}]


def cluster_rows(cluster: Json) -> list[Row]:
    """Return one row about consensus with its verdict: fail without a leader, warn with an unreachable peer."""
    raft, thread = at(cluster, "raft_info"), at(cluster, "consensus_thread_status")
    working = at(thread, "consensus_thread_status") == "working"
    has_leader = at(raft, "leader") is not None
    verdict: Status = "pass" if working and has_leader else "fail"
    if verdict == "pass" and at(cluster, "message_send_failures"):
        verdict = "warn"
    return [
        {
            "peers": float(len(at(cluster, "peers") or {})),
            "term": number(raft, "term"),
            "commit": number(raft, "commit"),
            "pending_operations": number(raft, "pending_operations"),
            "has_leader": has_leader,
            "is_voter": number(raft, "is_voter"),
            "working": working,
            "last_update": timestamp(at(thread, "last_update")),
            "verdict": verdict,
        }
    ]


def raft_role_rows(cluster: Json) -> list[Row]:
    role = at(cluster, "raft_info", "role")
    return [{"role": name.lower(), "has": role == name} for name in RAFT_ROLES]


def unreachable_peer_rows(cluster: Json) -> list[Row]:
    """Return the messages that failed since the last good one, of every other peer.

    This is where a killed peer shows at once; its replicas stay Active until the next write.
    """
    failures = at(cluster, "message_send_failures") or {}
    own = str(at(cluster, "peer_id"))
    return [
        {"peer_id": str(peer), "failures": number(failures, str(at(page, "uri")), "count") or 0.0}
        for peer, page in (at(cluster, "peers") or {}).items()
        if str(peer) != own
    ]


def peer_rows(telemetry: Json) -> list[Row]:
    """Return one row a peer, from /cluster/telemetry."""
    return [
        {"peer_id": str(peer), "responsive": number(page, "responsive"), "commit": number(page, "details", "commit")}
        for peer, page in (at(telemetry, "cluster", "peers") or {}).items()
    ]
