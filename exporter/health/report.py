"""What /health says: a pure view of the snapshot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter import __version__
from exporter.errors import Reason
from exporter.health.reasons import finite, iso, reasons
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import STATUSES, Status
from exporter.state.checks import Check, checks
from exporter.state.events import Instant, MonitoredTarget
from exporter.state.local_fault import MEANINGS
from exporter.state.snapshot import Snapshot
from exporter.state.target_status import State, TargetStatus

_LIMITS = {
    "warnAbove": "warn_above",
    "failAbove": "fail_above",
    "warnBelow": "warn_below",
    "failBelow": "fail_below",
}
_NOBODY_KNOWS = "what is down from here may be well"


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

    def body(self, now: Instant) -> dict[str, Any]:
        age = self.age(now)
        return {**self.identity, **({} if age is None else {"data_age_seconds": age}), **self.condition}


def report(snapshot: Snapshot, now: Instant, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Compose the body for all targets, or for those named; its status decides the HTTP status."""
    names = snapshot.targets if names is None else names
    return compose(snapshot, [target_health(snapshot, name, now) for name in names], now)


def compose(snapshot: Snapshot, parts: Sequence[TargetHealth], now: Instant) -> dict[str, Any]:
    """Put the targets' parts together to the body."""
    return {
        **summary(snapshot, parts, now),
        "targets": {part.name: part.body(now) for part in parts},
        "checks": {name: check for part in parts for name, check in part.checks.items()},
    }


def summary(
    snapshot: Snapshot, parts: Iterable[TargetHealth], now: Instant, notes: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the body's first fields, which sum up its targets."""
    parts = list(parts)
    return {
        "status": worst(parts),
        "serviceId": "datatier-exporter",
        "version": "1",
        "releaseId": __version__,
        "time": iso(now.wall),
        "notes": [*notes, *troubles(snapshot, now), *(part.note for part in parts if part.note)],
    }


def worst(parts: Iterable[TargetHealth]) -> Status:
    return max((part.counted for part in parts), key=STATUSES.index, default="pass")


def troubles(snapshot: Snapshot, now: Instant) -> list[str]:
    """Say what the exporter itself suffers from, where it keeps a verdict on its targets from being given."""
    known = snapshot.status.values()
    if known and all(now.monotonic >= status.fresh_until for status in known):
        return [f"the exporter has stopped polling: {_NOBODY_KNOWS}"]
    proven = {status.fault for status in known if snapshot.all_unreachable_locally or status.fault == "resources"}
    return [f"{meaning}: {_NOBODY_KNOWS}" for fault, meaning in MEANINGS.items() if fault in proven]


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
