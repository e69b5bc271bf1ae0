"""Rows from the server's own metrics page; values of the whole cluster have no label of the node that answered."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence

from exporter.datastores.prometheus_text import NativePage
from exporter.queries.query import Row

_REJECTED = ("auth", "header", "invalid", "timestamp")
_CLASSES = ("4xx", "5xx")


def error_rows(page: NativePage) -> list[Row]:
    """Return the errors by server, API and class; 0 for an API that was called and never failed."""
    counts: dict[tuple[str, str, str], float] = {}
    for _, labels, _ in page.samples("minio_s3_requests_total"):
        for status in _CLASSES:
            counts[labels.get("server", ""), labels.get("api", ""), status] = 0.0
    for status in _CLASSES:
        for _, labels, value in page.samples(f"minio_s3_requests_{status}_errors_total"):
            counts[labels.get("server", ""), labels.get("api", ""), status] = value
    return [{"server": s, "api": a, "class": c, "errors": value} for (s, a, c), value in counts.items()]


def rejected_rows(page: NativePage) -> list[Row]:
    return [
        {"server": labels.get("server", ""), "reason": reason, "requests": value}
        for reason in _REJECTED
        for _, labels, value in page.samples(f"minio_s3_requests_rejected_{reason}_total")
    ]


def ttfb_rows(page: NativePage, apis: Collection[str]) -> list[Row]:
    """Return the time to first byte as histograms; one whose +Inf is below a bucket is left out.

    https://github.com/minio/minio/pull/20656: releases before December 2024 had +Inf wrong.
    """
    buckets: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for _, labels, value in page.samples("minio_s3_requests_ttfb_seconds_distribution"):
        if labels.get("api") in apis:
            buckets[labels.get("server", ""), labels["api"]][float(labels["le"])] = value
    return [
        {"server": server, "api": api, "buckets": counts}
        for (server, api), counts in buckets.items()
        if counts.get(math.inf, -1.0) >= max(counts.values())
    ]


def capacity_rows(page: NativePage) -> list[Row]:
    return [
        {"kind": kind, "state": state, "bytes": page.value(f"minio_cluster_capacity_{kind}_{state}_bytes")}
        for kind in ("raw", "usable")
        for state in ("total", "free")
    ]


def disk_rows(page: NativePage) -> list[Row]:
    """Return the used share of what objects can take, parity not counted."""
    total = page.value("minio_cluster_capacity_usable_total_bytes")
    free = page.value("minio_cluster_capacity_usable_free_bytes")
    return [{"used_ratio": 1 - free / total}] if total and free is not None else []


def erasure_set_rows(page: NativePage, drives_per_set: Sequence[int]) -> list[Row]:
    """Return how many drives each erasure set may still lose, beside how many it was built to lose."""
    columns = {"online": "online_drives", "quorum": "write_quorum", "healthy": "status"}
    families = {column: f"minio_cluster_health_erasure_set_{name}" for column, name in columns.items()}
    return [{**row, **_tolerance(row, drives_per_set)} for row in page.rows(families, {"pool": "pool", "set": "set"})]


def _tolerance(row: Row, drives_per_set: Sequence[int]) -> Row:
    online, quorum, size = row["online"], row["quorum"], set_size(row, drives_per_set)
    if not isinstance(online, float) or not isinstance(quorum, float):
        return {"tolerance": None, "designed": None, "status": "unknown"}
    tolerance = online - quorum
    if size is None:
        return {"tolerance": tolerance, "designed": None, "status": "fail" if tolerance < 0 else "unknown"}
    status = "fail" if tolerance < 0 else "warn" if online < size else "pass"
    return {"tolerance": tolerance, "designed": size - quorum, "status": status}


def set_size(row: Row, drives_per_set: Sequence[int]) -> float | None:
    """Return how many drives an erasure set of the row's pool has."""
    pool = str(row["pool"])
    known = pool.isdigit() and int(pool) < len(drives_per_set)
    return float(drives_per_set[int(pool)]) if known else None
