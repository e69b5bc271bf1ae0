"""The summary in the terminal, made from /metrics and /health of the exporter alone."""

import http.client
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_HEADINGS = ("target", "state", "version", "role", "ping ms", "conns", "tx/s", "cache", "lag s", "series")
_LEFT = 4  # columns of words; the others are numbers
_WIDTH = 79
_VERSION_WIDTH = 9
_MAX_REASONS = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """The two pages as they were at one time; `samples` by target."""

    health: Mapping[str, Any]
    samples: Mapping[str, Sequence[Sample]]
    size: int
    seconds: float


def read(host: str, port: int) -> Reading:
    """Read both pages; raise OSError or HTTPException when the exporter does not answer."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.connect()
        began = time.perf_counter()
        page = _get(connection, "/metrics")
        seconds = time.perf_counter() - began
        health = json.loads(_get(connection, "/health"))
    finally:
        connection.close()
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            samples[sample.labels.get("target", "")].append(sample)
    return Reading(health, samples, len(page), seconds)


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


class Summary:
    """Turn readings into lines; remembers the last counters, for rates."""

    def __init__(self) -> None:
        self._polled: dict[str, tuple[float, float]] = {}
        self._rates: dict[str, float] = {}

    def lines(self, reading: Reading, age: float) -> list[str]:
        """Return a table, the problems, and a line about the exporter; `age`: how many seconds the demo has run."""
        rows = [self._row(name, target, reading) for name, target in reading.health["targets"].items()]
        series = sum(map(len, reading.samples.values()))
        about = f"/health {reading.health['status']} | {series:,} series, {reading.size / 1000:,.0f} kB"
        timing = f"scrape {reading.seconds * 1000:.1f} ms | {_minutes(age)}"
        return [*_table([_HEADINGS, *rows]), *_problems(reading.health), f"{about}, {timing}"]

    def _row(self, name: str, target: Mapping[str, Any], reading: Reading) -> tuple[str, ...]:
        samples = reading.samples.get(name, ())
        latency = target.get("latency_seconds")
        return (
            name,
            target["state"],
            target.get("version", "-")[:_VERSION_WIDTH],
            target.get("role", "-"),
            "-" if latency is None else f"{latency * 1000:.1f}",
            *self._of_postgres(name, samples, is_replica=target.get("role") == "replica"),
            f"{len(samples):,}",
        )

    def _of_postgres(self, name: str, samples: Sequence[Sample], *, is_replica: bool) -> tuple[str, ...]:
        used = _value(samples, "pg_connections_used")
        limit = _value(samples, "pg_settings_max_connections")
        rate = self._rate(name, samples)
        cached = _value(samples, "pg_cache_hit_ratio", datname="app")
        lag = _value(samples, "pg_replication_lag_seconds") if is_replica else None
        return (
            "-" if used is None or limit is None else f"{used:.0f}/{limit:.0f}",
            "-" if rate is None else f"{rate:.0f}",
            "-" if cached is None else f"{cached:.1%}",
            "-" if lag is None else f"{lag:.1f}",
        )

    def _rate(self, name: str, samples: Sequence[Sample]) -> float | None:
        """Return transactions a second between the last two polls of a PostgreSQL that is up."""
        finished = [
            s.value for s in samples if s.name in ("pg_stat_database_xact_commit", "pg_stat_database_xact_rollback")
        ]
        polled_at = _value(samples, "datatier_poll_last_success_timestamp_seconds")
        if not finished or polled_at is None:
            self._polled.pop(name, None)
            self._rates.pop(name, None)
            return None
        before_at, before = self._polled.get(name, (polled_at, 0.0))
        if polled_at > before_at:
            self._rates[name] = max(0.0, sum(finished) - before) / (polled_at - before_at)
        self._polled[name] = (polled_at, sum(finished))
        return self._rates.get(name)


def _value(samples: Sequence[Sample], name: str, **labels: str) -> float | None:
    for sample in samples:
        if sample.name == name and labels.items() <= sample.labels.items():
            return sample.value
    return None


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= _WIDTH else " "
    return [
        gap.join(
            cell.ljust(width) if index < _LEFT else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _problems(health: Mapping[str, Any]) -> list[str]:
    found = [
        f"{name}: {problem}"
        for name, target in health["targets"].items()
        for problem in [
            *map(_reason, target["reasons"]),
            *(f"may not: {privilege}" for privilege in target["missing_privileges"]),
            *(f"query {failing['query']}: {failing['reason']}" for failing in target["failing_queries"]),
        ]
    ]
    more = [f"and {len(found) - _MAX_REASONS} more: see /health"] if len(found) > _MAX_REASONS else []
    return found[:_MAX_REASONS] + more


def _reason(reason: Mapping[str, Any]) -> str:
    if "value" not in reason:
        return " ".join(str(reason[key]) for key in ("check", "code") if key in reason)
    return f"{reason['check']} {reason['value']:.3g}, limit {reason['limit']:g} {reason.get('unit', '')}".rstrip()


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
