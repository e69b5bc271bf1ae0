"""Makers of small valid things; each test says only what it is about."""

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import structlog
from pydantic import SecretStr

from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import HealthRule
from exporter.queries.query import Metric, Query, Row
from exporter.state.events import Instant, MonitoredTarget, Ping, Poll, Result, fresh_seconds
from exporter.state.local_fault import LocalFault
from exporter.state.snapshot import Snapshot
from exporter.state.target_status import State


def metric(name: str = "pg_size_bytes", **changes: Any) -> Metric:
    return Metric.model_validate({"name": name, "type": "gauge", "help": "Size.", "value": "bytes", **changes})


def query(name: str = "sizes", **changes: Any) -> Query:
    """Make a query with the label datname and the metric pg_size_bytes."""
    settings = {"store": "postgres", "query": "SELECT 1", "labels": ("datname",), "metrics": (metric(),), **changes}
    return Query.model_validate({"name": name, **settings})


def monitored_target(
    name: str = "orders", store: str = "postgres", interval: float = 15.0, **changes: Any
) -> MonitoredTarget:
    return MonitoredTarget(name=name, store=store, interval=interval, **changes)


def info(version: str = "15.4", **changes: Any) -> ServerInfo:
    return ServerInfo(version=version, **changes)


def at(seconds: float) -> Instant:
    """Return an instant that both clocks call by the same number."""
    return Instant(seconds, seconds)


def snapshot(*targets: MonitoredTarget) -> Snapshot:
    return Snapshot(targets or [monitored_target()], at(0.0))


class Events:
    """Make what a poller of one target publishes; each takes `now`, on both clocks."""

    def __init__(self, target: MonitoredTarget | None = None) -> None:
        self.target = target or monitored_target()

    def ping(
        self, now: float, server: ServerInfo | None = None, seconds: float = 0.001, skew: float | None = None
    ) -> Ping:
        fresh_until = self._fresh_until(now)
        return Ping(self.target.name, now, fresh_until, seconds, server or info(), clock_skew=skew)

    def failed_ping(
        self, now: float, reason: Reason = "connect", fault: LocalFault | None = None, skew: float | None = None
    ) -> Ping:
        error = QueryError(reason, f"{reason} at db1.example")
        return Ping(self.target.name, now, self._fresh_until(now), 0.001, None, error, fault, skew)

    def result(
        self, now: float, asked: Query | None = None, rows: Sequence[Row] | None = None, database: str | None = None
    ) -> Result:
        """Make a result as the poller does, with one row by default."""
        asked = asked or query()
        rows = [{"datname": "app", "bytes": 5.0}] if rows is None else rows
        families = tuple(asked.samples(rows))
        outcomes = asked.outcomes(rows, families)
        until = self._fresh_until(now, asked.interval)
        found = asked.findings_in(rows)
        return Result(self.target.name, asked, database, now, until, 0.002, len(rows), families, outcomes, found)

    def failed_result(self, now: float, asked: Query | None = None, error: QueryError | None = None) -> Result:
        asked, error = asked or query(), error or QueryError("timeout", "no answer")
        until = self._fresh_until(now, asked.interval)
        return Result(self.target.name, asked, None, now, until, 5.0, error=error)

    def poll(self, now: float, skipped: int = 0) -> Poll:
        return Poll(self.target.name, now, 0.004, skipped)

    def _fresh_until(self, now: float, interval: float | None = None) -> float:
        return now + fresh_seconds(interval or self.target.interval)


EVERY = 15.0
SIZE_CHECK = query(health=HealthRule(check="size", metric="pg_size_bytes", warn_above=10, fail_above=20))


class Scenario:
    """One target, and polls one after another; `now` is when the last one ended."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = Events()
        self.snapshot = snapshot(self.events.target)

    def poll(self, seen: str) -> State:
        """Poll once: o(k), w(arning by a check), s(low ping), d(own), a(uth refused); return the state."""
        self.now += EVERY
        if seen in "da":
            self.snapshot.apply(self.events.failed_ping(self.now, "auth" if seen == "a" else "connect"))
        else:
            self.snapshot.apply(self.events.ping(self.now, seconds=0.7 if seen == "s" else 0.001))
            row = {"datname": "app", "bytes": 15.0 if seen == "w" else 5.0}
            self.snapshot.apply(self.events.result(self.now, SIZE_CHECK, [row]))
        self.snapshot.apply(self.events.poll(self.now))
        return self.snapshot.state("orders", self.now)

    def served(self) -> list[str]:
        """Name the metrics that are served."""
        current = self.snapshot.fresh_results("orders", self.now)
        return [metric for result in current for metric in result.series]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def plain(samples: Mapping[str, float] | Sequence[tuple[str, float]]) -> list[Row]:
    """Return rows of datname and bytes."""
    pairs = samples.items() if isinstance(samples, Mapping) else samples
    return [{"datname": name, "bytes": value} for name, value in pairs]


@contextmanager
def restored_logs() -> Iterator[None]:
    """Undo afterwards what configure_logs does to the whole process."""
    root, ours = logging.getLogger(), logging.getLogger("exporter")
    before = root.handlers, root.level, ours.level
    yield
    root.handlers, root.level = before[:2]
    ours.setLevel(before[2])
    structlog.reset_defaults()


def basic_auth(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def hashed(password: str, cost: int = 4) -> SecretStr:
    return SecretStr(bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode())
