"""Rows from Qdrant's own /metrics page: its requests and their durations, added up by operation."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

from exporter.datastores.prometheus_text import NativePage, check_lines
from exporter.queries.query import Row
from exporter.versions import version_satisfies

# Each operation and what its endpoints contain; the first that matches wins. gRPC's names are matched in the same way.
_OPERATIONS: Sequence[tuple[str, re.Pattern[str]]] = tuple(
    (operation, re.compile(pattern))
    for operation, pattern in (
        ("search", r"/points/(search|query|recommend|discover)|Points/(Search|Query|Recommend|Discover)"),
        ("facet", r"/points/facet|Points/Facet"),
        ("scroll", r"/points/scroll|Points/Scroll"),
        ("count", r"/points/count|Points/Count"),
        ("payload", r"/points/payload|Points/\w*Payload"),
        ("vectors", r"/points/vectors|/vectors/|Points/\w*Vector"),
        ("delete", r"/points/delete|Points/Delete$"),
        ("batch", r"/points/batch|Points/UpdateBatch"),
        ("upsert", r"^PUT .*/points$|Points/Upsert"),
        ("retrieve", r"/points$|/points/\{|Points/Get"),
        ("index", r"/index|Points/\w*FieldIndex"),
    )
)
_OTHER = "other"
_PROTOCOLS = ("rest", "grpc")
_ALWAYS_SHOWN = ("search", "upsert")  # counted from 0, so that the first increase is seen

# Before 1.16 the page leaves out empty buckets, and each request may bring one back.
_SPARSE_BOUNDS = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0)
_DENSE_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0)


def metrics_page(body: bytes) -> NativePage:
    """Make the page, whose names may stand behind the server's `service.metrics_prefix`."""
    check_lines(body)
    return NativePage(body, landmark="app_info")


def native_rows(page: NativePage, columns: Mapping[str, str], labels: Mapping[str, str], most: int) -> list[Row]:
    """Return the rows of picked families, of more than `most` those with the highest first column."""
    first = next(iter(columns))

    def height(row: Row) -> float:
        value = row[first]
        return value if isinstance(value, float) else 0.0

    return sorted(page.rows(columns, labels), key=height, reverse=True)[:most]


def limit_rows(page: NativePage) -> list[Row]:
    """Return the used share of what the kernel limits for the process."""
    limits = {
        "file_descriptors": ("process_open_fds", "process_max_fds"),
        "mmaps": ("process_open_mmaps", "system_max_mmaps"),
    }
    found = {resource: (page.value(used), page.value(limit)) for resource, (used, limit) in limits.items()}
    return [
        {"resource": resource, "used_ratio": used / limit}
        for resource, (used, limit) in found.items()
        if used is not None and limit
    ]


def request_rows(page: NativePage, version: str) -> list[Row]:
    """Return the requests by protocol, operation and status (HTTP's, or gRPC's from 1.17.1 on)."""
    good = {"rest": "200", "grpc": "0" if version_satisfies(version, ">=1.17.1") else ""}
    counts = {(protocol, op, good[protocol]): 0.0 for protocol in _PROTOCOLS for op in _ALWAYS_SHOWN}
    for protocol in _PROTOCOLS:
        for _, labels, value in page.samples(f"{protocol}_responses_total"):
            key = (protocol, operation_of(labels), labels.get("status", ""))
            counts[key] = counts.get(key, 0.0) + value
    return [{"protocol": p, "operation": o, "status": s, "requests": n} for (p, o, s), n in counts.items()]


class _Series(NamedTuple):
    buckets: dict[float, float]
    totals: dict[str, float]


def duration_rows(page: NativePage, version: str) -> list[Row]:
    """Return the durations by protocol and operation: the endpoints' histograms, added up bucket by bucket."""
    bounds = _DENSE_BOUNDS if version_satisfies(version, ">=1.16") else _SPARSE_BOUNDS
    groups: dict[tuple[str, str], dict[tuple[str, ...], _Series]] = defaultdict(dict)
    groups.update({(protocol, op): {} for protocol in _PROTOCOLS for op in _ALWAYS_SHOWN})
    for protocol, part in product(_PROTOCOLS, ("bucket", "sum", "count")):
        for _, labels, value in page.samples(f"{protocol}_responses_duration_seconds_{part}"):
            key = (labels.get("method", ""), labels.get("endpoint", ""), labels.get("status", ""))
            series = groups[protocol, operation_of(labels)].setdefault(key, _Series({}, {}))
            if part == "bucket":
                series.buckets[_bound(labels.get("le", "+Inf"))] = value
            else:
                series.totals[part] = value
    return [
        {"protocol": protocol, "operation": operation, **_added(list(group.values()), bounds)}
        for (protocol, operation), group in groups.items()
    ]


def _added(group: Sequence[_Series], bounds: Sequence[float]) -> dict[str, object]:
    seen = {bound for series in group for bound in series.buckets if not math.isinf(bound)}
    every = sorted({*bounds, *seen})
    added: dict[float, float] = dict.fromkeys([*every, math.inf], 0.0)
    for series in group:
        cumulative = 0.0
        for bound in every:
            cumulative = series.buckets.get(bound, cumulative)
            added[bound] += cumulative
        added[math.inf] += series.totals.get("count", series.buckets.get(math.inf, cumulative))
    return {"buckets": added, "seconds": sum(series.totals.get("sum", 0.0) for series in group)}


def _bound(text: str) -> float:
    """Read a bound; old servers count in 32-bit floats, so 0.001 may come as 0.0010000000474974513."""
    return float(f"{float(text):.6g}")


def operation_of(labels: Mapping[str, str]) -> str:
    """Fold an endpoint, REST's with its method or gRPC's, into one of a dozen operations."""
    endpoint = f"{labels.get('method', '')} {labels.get('endpoint', '')}".strip()
    return next((operation for operation, pattern in _OPERATIONS if pattern.search(endpoint)), _OTHER)
