"""The health of one target, as the values of its part of the body of /health."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.errors import Reason
from exporter.health.reasons import finite, iso, reasons
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import Status
from exporter.state.checks import Check, checks
from exporter.state.events import Instant, MonitoredTarget
from exporter.state.snapshot import Snapshot
from exporter.state.target_status import State, TargetStatus

_LIMITS = {
    "warnAbove": "warn_above",
    "failAbove": "fail_above",
    "warnBelow": "warn_below",
    "failBelow": "fail_below",
}


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One target's part of the body, but for the age of its data, which is between `identity` and `condition`.

    counts: whether its status is part of the verdict on several targets; in maintenance it is not.
    """

    name: str
    status: Status
    counts: bool
    state: State
    remark: str
    identity: Mapping[str, Any]
    condition: Mapping[str, Any]
    checks: Mapping[str, Any]
    succeeded_at: float | None

    @property
    def counted(self) -> Status:
        return self.status if self.counts else "pass"

    @property
    def note(self) -> str | None:
        failing = queries_fail(len(self.condition["failing_queries"]))
        noted = self.status != "pass" or self.identity["maintenance"] or failing
        return f"{self.name}: {self.state}{self.remark}" + (f", {failing}" if failing else "") if noted else None

    def age(self, now: Instant) -> float | None:
        return None if self.succeeded_at is None else round(max(0.0, now.wall - self.succeeded_at), 3)


def target_health(snapshot: Snapshot, name: str, now: Instant, *, raw: bool = False) -> TargetHealth:
    """Judge one target; raw: by what its last poll saw alone."""
    watched, status = snapshot.targets[name], snapshot.status[name]
    state, found = snapshot.state(name, now.monotonic, raw=raw), checks(snapshot.known(name, now.monotonic))
    failing = failing_queries(snapshot, name, now)
    info = status.info if snapshot.up(name, now.monotonic) else None
    condition = {
        **({} if status.latency is None else {"latency_seconds": round(status.latency, 6)}),
        "reasons": reasons(snapshot, name, state, found, now),
        "missing_privileges": sorted(info.missing_privileges) if info else [],
        "failing_queries": [{"query": query, "reason": reason} for query, reason in sorted(failing.items())],
    }
    return TargetHealth(
        name=name,
        counts=not watched.maintenance,
        status=_status(state, required=watched.required),
        state=state,
        remark=", in maintenance" if watched.maintenance else "" if watched.required else ", not required",
        identity=_identity(watched, status, state, info),
        condition=condition,
        checks={f"{name}:{check.name}": [_check(name, check)] for check in found},
        succeeded_at=status.succeeded_at,
    )


def _identity(watched: MonitoredTarget, status: TargetStatus, state: State, info: ServerInfo | None) -> dict[str, Any]:
    """Return a target's state and what it is; what our user may not see, its version or role, is left out."""
    told = {"version": info.version, "role": info.role} if info else {}
    return {
        "store": watched.store,
        "state": state,
        "since": iso(_since(status, state)),
        "required": watched.required,
        "maintenance": watched.maintenance,
        "flapping": status.flapping,
        **{name: word for name, word in told.items() if word},
    }


def _since(status: TargetStatus, state: State) -> float:
    """Return since when a target has been in its damped state, or in the one that polls see; else its last attempt."""
    if state == status.state:
        return status.since
    return status.observed_since if state == status.observed else status.attempted_at or status.since


def _status(state: State, *, required: bool) -> Status:
    if state == "down":
        return "fail" if required else "warn"
    return "pass" if state == "ok" else "warn"


def failing_queries(snapshot: Snapshot, name: str, now: Instant) -> dict[str, Reason]:
    """Name the queries that failed when they were last asked, each with its reason: built-in and users' own."""
    return {
        result.query.name: result.error.reason
        for result in snapshot.fresh_results(name, now.monotonic)
        if result.error is not None and result.failed
    }


def _check(target: str, check: Check) -> dict[str, Any]:
    body: dict[str, Any] = {"componentId": target}
    if (value := finite(check.value)) is not None:
        body["observedValue"] = value
    if check.unit is not None:
        body["observedUnit"] = check.unit
    body["status"] = check.status
    limits: Mapping[str, float | None] = {
        key: finite(getattr(check.rule, name)) for key, name in _LIMITS.items() if check.rule is not None
    }
    body |= {key: limit for key, limit in limits.items() if limit is not None}
    if check.output is not None:
        body["output"] = check.output
    return body | ({"time": iso(check.time)} if check.time is not None else {})


def queries_fail(count: int) -> str:
    """Say how many queries fail; nothing of none."""
    return f"{count} queries fail" if count > 1 else "1 query fails" if count else ""
