"""Rows about drives and nodes: from the admin call, or from the metrics page, which has less."""

from collections import Counter
from collections.abc import Sequence

from exporter.datastores.json_text import Json, objects
from exporter.datastores.minio.page_rows import set_size
from exporter.datastores.prometheus_text import NativePage
from exporter.queries.query import Row

_DRIVE_STATES = ("ok", "healing", "offline", "unformatted", "faulty", "other")
_NODE_STATES = ("online", "offline", "initializing")
_SAME_AS = {"corrupt": "faulty"}


def drive_rows(info: Json) -> list[Row]:
    """Return the number of drives by pool, set and state, every state of every set."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for node in objects(info, "servers"):
        for drive in objects(node, "drives"):
            counts[str(drive.get("pool_index", "")), str(drive.get("set_index", "")), _drive_state(drive)] += 1
    sets = sorted({(pool, drive_set) for pool, drive_set, _ in counts})
    return [
        _row({"pool": pool, "set": drive_set}, state, "ok", float(counts[pool, drive_set, state]))
        for pool, drive_set in sets
        for state in _DRIVE_STATES
    ]


def drive_rows_of_page(page: NativePage, drives_per_set: Sequence[int]) -> list[Row]:
    """Return the same as far as the metrics page has it: all that is not online counts as offline."""
    families = {
        "online": "minio_cluster_health_erasure_set_online_drives",
        "healing": "minio_cluster_health_erasure_set_healing_drives",
    }
    rows: list[Row] = []
    for found in page.rows(families, {"pool": "pool", "set": "set"}, zero=("online", "healing")):
        online, healing, size = found["online"], found["healing"], set_size(found, drives_per_set)
        if isinstance(online, float) and isinstance(healing, float):
            where = {"pool": str(found["pool"]), "set": str(found["set"])}
            rows.append(_row(where, "ok", "ok", online - healing))
            rows.append(_row(where, "healing", "ok", healing))
            rows.append(_row(where, "offline", "ok", None if size is None else size - online))
    return rows


def node_rows(info: Json) -> list[Row]:
    counts = Counter(str(node.get("state", "")) for node in objects(info, "servers"))
    return [_row({}, state, "online", float(counts[state])) for state in _NODE_STATES]


def node_rows_of_page(page: NativePage) -> list[Row]:
    states = {state: page.value(f"minio_cluster_nodes_{state}_total") for state in ("online", "offline")}
    return [_row({}, state, "online", count) for state, count in states.items()]


def _drive_state(drive: Json) -> str:
    state = str(drive.get("state", ""))
    if state == "ok" and drive.get("healing"):
        return "healing"
    state = _SAME_AS.get(state, state)
    return state if state in _DRIVE_STATES else "other"


def _row(where: Row, state: str, good: str, count: float | None) -> Row:
    return {**where, "state": state, "count": count, "status": "warn" if count and state != good else "pass"}
