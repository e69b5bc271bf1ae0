"""The health of one target, as the values of its part of the body of /health."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.health.reasons import finite, iso, reasons
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import Status
from exporter.state.checks import Check, checks
from exporter.state.events import Instant, MonitoredTarget
from exporter.state.snapshot import Snapshot
from exporter.state.target_status import State, TargetStatus

_LIMITS = {"warnAbove": "warn_above", "failAbove": "fail_above", "warnBelow": "warn_below", "failBelow": "fail_below"}


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """One target's part of the body, without the age of its data, which belongs between `identity` and `condition`.

    counts: whether its status counts for the whole; in maintenance it does not.
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
    """Judge one target; with `raw` by its last poll alone, undamped."""
    known, state = snapshot.known(name, now.monotonic), snapshot.state(name, now.monotonic, raw=raw)
    target, status, found = known.target, known.status, checks(known)
    failing = {result.query.name: result.error.reason for result in known.results if result.error and result.failed}
    info = status.info if known.up else None
    condition = {
        **({} if status.latency is None else {"latency_seconds": round(status.latency, 6)}),
        "reasons": reasons(known, state, found),
        "missing_privileges": sorted(info.missing_privileges) if info else [],
        "failing_queries": [{"query": query, "reason": reason} for query, reason in sorted(failing.items())],
    }
    return TargetHealth(
        name=name,
        counts=not target.maintenance,
        status=_status(state, required=target.required),
        state=state,
        remark=", in maintenance" if target.maintenance else "" if target.required else ", not required",
        identity=_identity(target, status, state, info),
        condition=condition,
        checks={f"{name}:{check.name}": [_check(name, check)] for check in found},
        succeeded_at=status.succeeded_at,
    )


def _identity(target: MonitoredTarget, status: TargetStatus, state: State, info: ServerInfo | None) -> dict[str, Any]:
    """Return a target's state and identity; a version or role that is unknown is left out."""
    known = {"version": info.version, "role": info.role} if info else {}
    return {
        "store": target.store,
        "state": state,
        "since": iso(_since(status, state)),
        "required": target.required,
        "maintenance": target.maintenance,
        "flapping": status.flapping,
        **{name: word for name, word in known.items() if word},
    }


def _since(status: TargetStatus, state: State) -> float:
    """Return since when a target has been in its damped state or the one that polls observe; else its last attempt."""
    if state == status.state:
        return status.since
    return status.observed_since if state == status.observed else status.attempted_at or status.since


def _status(state: State, *, required: bool) -> Status:
    if state == "down":
        return "fail" if required else "warn"
    return "pass" if state == "ok" else "warn"


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
    """Return how many queries fail as text, empty for none."""
    return f"{count} queries fail" if count > 1 else "1 query fails" if count else ""
