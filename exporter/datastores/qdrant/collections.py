"""Rows from /telemetry about collections: the shards and replicas that this peer knows of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporter.datastores.json_text import Json, at, number, objects, scaled, total
from exporter.queries.health_rule import Status
from exporter.queries.query import Row

STATUSES = ("green", "yellow", "grey", "unknown", "red", "failed")  # from best to worst
REPLICA_STATES = (
    "Active", "ActiveRead", "Dead", "Initializing", "Listener", "ManualRecovery", "Partial", "PartialSnapshot",
    "Recovery", "Resharding", "ReshardingScaleDown", "unknown",
)  # fmt: skip
_READABLE = {"Active", "ActiveRead", "ReshardingScaleDown"}


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as this peer sees it; `local` is empty where other peers hold it alone."""

    id: str
    own: str  # this peer
    local: Json
    states: Mapping[str, str]  # of each peer's replica

    @property
    def failed(self) -> bool:
        """Return whether the local replica failed to load; its state does not show it."""
        return bool(at(self.local, "variant_name") == "dummy shard")

    @property
    def status(self) -> str:
        """Return the status of the local replica; one that failed to load is green for the server."""
        if self.failed:
            return "failed"
        status = at(self.local, "status")
        return status if status in STATUSES else "unknown"

    @property
    def points(self) -> float | None:
        """Return the local replica's points; before 1.14 they are the sum of its segments."""
        points = number(self.local, "num_points")
        if points is not None:
            return points
        return total([number(segment, "info", "num_points") for segment in objects(self.local, "segments")])

    @property
    def readable(self) -> int:
        active = {peer for peer, state in self.states.items() if state in _READABLE}
        return len(active - {self.own} if self.failed else active)


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection, with all shards this peer knows of."""

    name: str
    page: Json
    shards: Sequence[Shard]
    replicas_wanted: int

    @property
    def local(self) -> Sequence[Shard]:
        return [shard for shard in self.shards if shard.local]

    @property
    def status(self) -> str:
        """Return the worst status of the shards this peer holds; "" when it holds none."""
        return max((shard.status for shard in self.local), key=STATUSES.index, default="")

    @property
    def in_trouble(self) -> bool:
        return self.status in ("unknown", "red", "failed")

    @property
    def points(self) -> float | None:
        return total([shard.points for shard in self.local])

    @property
    def without_active_replica(self) -> int:
        return sum(shard.readable < 1 for shard in self.shards)

    @property
    def under_replicated(self) -> int:
        return sum(shard.readable < self.replicas_wanted for shard in self.shards)


def collections_of(telemetry: Json, most: int | None = None) -> list[Collection]:
    """Return all collections, or so many: those in trouble first, then the largest."""
    found = [_collection(telemetry, page) for page in objects(telemetry, "collections", "collections")]
    found.sort(key=lambda c: (not c.without_active_replica, not c.in_trouble, -(c.points or 0), c.name))
    return found[:most]


def _collection(telemetry: Json, page: Json) -> Collection:
    peer = at(telemetry, "cluster", "status", "peer_id")
    clustered = at(telemetry, "cluster", "enabled") is True
    factor = number(page, "config", "params", "replication_factor") or 1
    shards = [_shard(shard, peer) for shard in objects(page, "shards")]
    return Collection(str(page.get("id")), page, shards, int(factor) if clustered else 1)


def _shard(page: Json, peer: object) -> Shard:
    states = {str(peer): str(state) for peer, state in (page.get("replicate_states") or {}).items()}
    own = next(iter(states), "") if peer is None else str(peer)  # outside a cluster there is one peer alone
    return Shard(str(page.get("id")), own, page.get("local") or {}, states)


def summary_rows(telemetry: Json) -> list[Row]:
    """Return one row about all collections: how many there are, and the verdict on them."""
    found = collections_of(telemetry)
    count = number(telemetry, "collections", "number_of_collections")
    return [{"collections": count, "verdict": _verdict(c.status for c in found)}]


def _verdict(statuses: Iterable[str]) -> Status:
    worst = max((STATUSES.index(status) for status in statuses if status), default=0)
    if worst >= STATUSES.index("red"):
        return "fail"
    return "unknown" if worst == STATUSES.index("unknown") else "pass"


def status_rows(found: Iterable[Collection]) -> list[Row]:
    """Return each collection with every status, 1 for the one it has."""
    return [
        {"collection": c.name, "status": status, "has": c.status == status}
        for c in found
        if c.status
        for status in STATUSES
    ]


def collection_rows(telemetry: Json, found: Iterable[Collection]) -> list[Row]:
    snapshots = {str(page.get("id")): page for page in objects(telemetry, "collections", "snapshots")}
    return [{**_numbers(c), **_snapshots(snapshots.get(c.name, {}))} for c in found]


def _numbers(collection: Collection) -> dict[str, object]:
    local, config = collection.local, at(collection.page, "config")

    def add(*keys: str) -> float | None:
        return total([number(shard.local, *keys) for shard in local])

    statuses = [at(shard.local, "optimizations", "status") for shard in local]
    return {
        "collection": collection.name,
        "points": collection.points,
        "vectors_bytes": add("vectors_size_bytes"),
        "payloads_bytes": add("payloads_size_bytes"),
        "optimizer_ok": all(status == "ok" for status in statuses) if any(statuses) else None,
        "update_queue": add("update_queue", "length"),
        "shards": len(collection.shards),
        "shards_failed_load": sum(shard.failed for shard in local),
        "shards_without_active_replica": collection.without_active_replica,
        "under_replicated_shards": collection.under_replicated,
        "shard_transfers": len(objects(collection.page, "transfers")),
        "replication_factor": number(config, "params", "replication_factor"),
        "indexing_threshold_bytes": scaled(number(config, "optimizer_config", "indexing_threshold"), 1024),
    }


def _snapshots(page: Json) -> dict[str, object]:
    return {
        "snapshots_running": number(page, "running_snapshots"),
        "snapshot_recoveries_running": number(page, "running_snapshot_recovery"),
        "snapshots_created": number(page, "total_snapshot_creations"),
    }


def vector_rows(found: Iterable[Collection]) -> list[Row]:
    """Return the vectors of each name; the unnamed vector has the name ""."""
    counts: dict[tuple[str, str], float] = {}
    for collection in found:
        for shard in collection.local:
            for name, count in (at(shard.local, "num_vectors_by_name") or {}).items():
                counts[collection.name, name] = counts.get((collection.name, name), 0.0) + count
    return [{"collection": key[0], "vector": key[1], "vectors": count} for key, count in counts.items()]


def optimization_rows(found: Iterable[Collection]) -> list[Row]:
    """Return the optimizer's counters, one row a shard: a sum would jump when a shard moves to another peer."""
    return [
        {
            "collection": collection.name,
            "shard": shard.id,
            "optimized_points": number(shard.local, "total_optimized_points"),
            "optimizations": number(done, "count"),
            # the server leaves out a zero here
            "failures": (number(done, "fail_count") or 0) if done else None,
            "seconds": scaled(number(done, "total_duration_micros"), 1e-6),
        }
        for collection in found
        for shard in collection.local
        if not shard.failed
        for done in [at(shard.local, "optimizations", "optimizations")]
    ]


def replica_rows(found: Iterable[Collection]) -> list[Row]:
    """Return each collection's replicas by state, zeros filled in."""
    rows: list[Row] = []
    for collection in found:
        states = [state for shard in collection.shards for state in shard.states.values()]
        known = [state if state in REPLICA_STATES else "unknown" for state in states]
        rows += [{"collection": collection.name, "state": s, "replicas": known.count(s)} for s in REPLICA_STATES]
    return rows


def replication_rows(telemetry: Json) -> list[Row]:
    """Return one row about all replicas that this peer knows of, with the verdict on them."""
    found = collections_of(telemetry)
    states = [state for c in found for shard in c.shards for state in shard.states.values()]
    inactive = sum(state not in _READABLE for state in states)
    without, under = sum(c.without_active_replica for c in found), sum(c.under_replicated for c in found)
    verdict: Status = "fail" if without else "warn" if inactive or under else "pass"
    return [{"inactive": inactive, "without_active": without, "under_replicated": under, "verdict": verdict}]
