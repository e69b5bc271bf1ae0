"""Polls of a PostgreSQL that find a share of its connections used, and what /health tells of it."""

from collections.abc import Iterable
from typing import Any

from exporter.health.report import report
from exporter.queries.health_rule import HealthRule
from exporter.queries.query import Query
from exporter.state.events import Event, MonitoredTarget
from exporter.state.snapshot import Snapshot
from tests.support.factories import Events, at, info, metric, monitored_target, query, snapshot

EVENTS = Events()
RATIO = metric("pg_connections_used_ratio", value="used")


def connections(**rule: Any) -> Query:
    settings = {"check": "connections", "metric": RATIO.name, "warn_above": 0.8, "fail_above": 0.95, **rule}
    return query("connections", labels=(), metrics=(RATIO,), health=HealthRule.model_validate(settings))


def known_after(*events: Event, target: MonitoredTarget | None = None) -> Snapshot:
    made = snapshot(target or monitored_target())
    for event in events:
        made.apply(event)
    return made


def used(ratio: float | None, now: float = 1.0, asked: Query | None = None, missing: Iterable[str] = ()) -> list[Event]:
    """Return a whole good poll that finds this share of the connections used, by a user without these privileges."""
    server = info("15.19", role="primary", missing_privileges=dict.fromkeys(missing, "GRANT ..."))
    result = EVENTS.result(now, asked or connections(), [{"used": ratio}])
    return [EVENTS.ping(now, server, 0.0014), result, EVENTS.poll(now)]


def unexplained(target: dict[str, Any]) -> str | None:
    """Return how a target's state and its reasons contradict each other, None where they do not."""
    state, firm = target["state"], [reason for reason in target["reasons"] if not reason.get("pending")]
    codes = {reason.get("was", reason["code"]) for reason in firm}
    if state == "ok":
        return f"ok, for {firm}" if firm else None
    if not firm:
        return f"{state} for no reason"
    if state == "degraded" and not codes <= {"limit", "flapping"}:
        return f"degraded for {codes}"
    closed = [reason for reason in firm if reason.get("check") == "databases"]
    if state == "down" and not codes <= {"connect", "auth", "timeout"} and not closed:
        return f"down for {codes}"
    if state == "unknown" and not (codes <= {"starting", "stale"} or all("local" in reason for reason in firm)):
        return f"unknown for {codes}"
    return None


def target_of(events: Iterable[Event], now: float = 2.0, name: str = "orders") -> dict[str, Any]:
    found: dict[str, Any] = report(known_after(*events), at(now))["targets"][name]
    return found
