"""Rows from Qdrant's own /metrics page: picked by name, or requests folded by operation."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from exporter.datastores.prometheus_text import PageSample, parse
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


class NativePage:
    """The page, behind whatever `service.metrics_prefix` the server puts before its names."""

    def __init__(self, body: bytes) -> None:
        first = re.search(rb"^([a-zA-Z0-9_:]*?)app_info[{ ]", body, re.MULTILINE)
        self._prefix = first[1].decode() if first else ""
        self._body = body

    def samples(self, *names: str) -> Iterator[PageSample]:
        """Yield the samples whose name starts with one of these."""
        for name, labels, value in parse(self._body, tuple(self._prefix + name for name in names)):
            yield name.removeprefix(self._prefix), labels, value


def picked_rows(page: NativePage, columns: Mapping[str, str], labels: Mapping[str, str]) -> list[Row]:
    """Return one row a set of labels, with a column for each metric, None where it lacks; highest first."""
    column_of = {native: column for column, native in columns.items()}
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, found, value in page.samples(*column_of):
        if name in column_of:
            key = tuple(found.get(native, "") for native in labels.values())
            row = rows.setdefault(key, {**dict(zip(labels, key, strict=True)), **dict.fromkeys(columns)})
            row[column_of[name]] = value
    first = next(iter(columns))
    return [*sorted(rows.values(), key=lambda row: row[first] or 0.0, reverse=True)]


def limit_rows(page: NativePage) -> list[Row]:
    """Return the used share of what the kernel limits for the process."""
    names = ("process_open_fds", "process_max_fds", "process_open_mmaps", "system_max_mmaps")
    found = {name: value for name, _, value in page.samples(*names)}
    return [
        {"resource": resource, "used_ratio": found[used] / found[limit]}
        for resource, used, limit in (("file_descriptors", *names[:2]), ("mmaps", *names[2:]))
        if used in found and found.get(limit)
    ]


def request_rows(page: NativePage, version: str) -> list[Row]:
    """Return the requests by protocol, operation and status (HTTP's, or gRPC's from 1.17.1 on)."""
    good = {"rest": "200", "grpc": "0" if version_satisfies(version, ">=1.17.1") else ""}
    counts = {(protocol, op, good[protocol]): 0.0 for protocol in _PROTOCOLS for op in _ALWAYS_SHOWN}
    for name, labels, value in page.samples("rest_responses_total", "grpc_responses_total"):
        protocol = name[:4]
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
    for name, labels, value in page.samples("rest_responses_duration_seconds", "grpc_responses_duration_seconds"):
        protocol, _, part = name[:4], *name.rpartition("_")[1:]
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
