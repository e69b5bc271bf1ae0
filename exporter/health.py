"""What /health says: a pure view of the snapshot, whose checks are metrics, too."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exporter import __version__
from exporter.findings import in_database
from exporter.snapshot import Now, Result, Snapshot
from exporter.target_state import State
from exporter.verdict import STATUSES, HealthRule, Status

_EVERYWHERE = ("responseTime", "replicationLag", "diskSpace")
_UNITS = ("seconds", "bytes", "ratio")
_LISTED = 10
_NONE_MISSING = HealthRule(check="privileges", metric="datatier_privilege_missing", warn_above=0)
_LIMITS = {
    "warnAbove": "warn_above",
    "failAbove": "fail_above",
    "warnBelow": "warn_below",
    "failBelow": "fail_below",
}


@dataclass(frozen=True, slots=True)
class Check:
    """State one verdict; `output` is a reason code where there is no value to show."""

    name: str
    status: Status
    time: float | None = None
    value: float | None = None
    unit: str | None = None
    rule: HealthRule | None = None
    output: str | None = None


def report(snapshot: Snapshot, now: Now, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Compose the body for all targets, or for those named; its status decides the HTTP status."""
    targets, all_checks, notes, statuses = {}, {}, [], []
    for name in snapshot.targets if names is None else names:
        found = checks(snapshot, name, now)
        targets[name] = _target(snapshot, name, found, now)
        if snapshot.targets[name].maintenance:
            notes.append(f"{name}: {targets[name]['state']}, in maintenance")
        else:
            status = _status(snapshot, name, now)
            statuses.append(status)
            if status != "pass":
                optional = "" if snapshot.targets[name].required else ", not required"
                notes.append(f"{name}: {targets[name]['state']}{optional}")
        for check in found:
            all_checks[f"{name}:{check.name}"] = [_check(name, check)]
    return {
        "status": max(statuses, key=STATUSES.index, default="pass"),
        "serviceId": "datatier-exporter",
        "version": "1",
        "releaseId": __version__,
        "time": _iso(now.wall),
        "notes": notes,
        "targets": targets,
        "checks": all_checks,
    }


def checks(snapshot: Snapshot, target: str, now: Now) -> list[Check]:
    """Return a target's checks: those that every target has, then those of its queries, each by its worst verdict."""
    found = {"responseTime": _response(snapshot, target, now)}
    if (privileges := _privileges(snapshot, target, now)) is not None:
        found[privileges.name] = privileges
    for result in snapshot.current(target, now.monotonic):
        if result.query.health is not None:
            check = _of_result(result, result.query.health)
            known = found.get(check.name)
            if known is None or STATUSES.index(check.status) > STATUSES.index(known.status):
                found[check.name] = check
    silence = "not_exposed_by_server" if snapshot.up(target, now.monotonic) else "no_recent_sample"
    for name in _EVERYWHERE:
        found.setdefault(name, Check(name, "unknown", output=silence))
    return [found.pop(name) for name in _EVERYWHERE] + [found[name] for name in sorted(found)]


def _response(snapshot: Snapshot, target: str, now: Now) -> Check:
    status = snapshot.status[target]
    limit = snapshot.targets[target].response
    rule = HealthRule(
        check="responseTime", metric="datatier_probe_seconds", warn_above=limit.warn, fail_above=limit.fail
    )
    if status.error is not None:
        return Check("responseTime", "fail", status.attempted_at, rule=rule, output=status.error.reason)
    if status.latency is None or not snapshot.up(target, now.monotonic):
        return Check("responseTime", "unknown", rule=rule, output="starting" if status.polls == 0 else "stale")
    return Check("responseTime", rule.judge(status.latency), status.attempted_at, status.latency, "seconds", rule)


def _privileges(snapshot: Snapshot, target: str, now: Now) -> Check | None:
    """Warn of what the user may not see, while the target is up: silence is not health."""
    status = snapshot.status[target]
    if status.info is None or not snapshot.up(target, now.monotonic):
        return None
    missing = sorted(status.info.missing_privileges)
    count = float(len(missing))
    return Check(
        "privileges", _NONE_MISSING.judge(count), status.attempted_at, count, None, _NONE_MISSING, _listed(missing)
    )


def _of_result(result: Result, rule: HealthRule) -> Check:
    verdict = result.verdict
    if verdict is None:
        silence = result.error.reason if result.error else "no_recent_sample"
        return Check(rule.check, "unknown", result.finished_at, rule=rule, output=silence)
    unit = next((unit for unit in _UNITS if rule.metric and rule.metric.endswith(unit)), None)
    output: str | None = result.error.reason if result.error else None
    if verdict.status != "pass" and result.error is None:
        output = _listed([in_database(result, name) for name in verdict.findings])
    return Check(rule.check, verdict.status, result.finished_at, verdict.value, unit, rule, output)


def _listed(findings: Sequence[str]) -> str | None:
    """Return the first findings as one text; all of them are at /findings."""
    more = f" and {len(findings) - _LISTED} more" if len(findings) > _LISTED else ""
    return ", ".join(findings[:_LISTED]) + more or None


def _status(snapshot: Snapshot, target: str, now: Now) -> Status:
    state = snapshot.state(target, now.monotonic)
    if state == "down":
        return "fail" if snapshot.targets[target].required else "warn"
    return "pass" if state == "ok" else "warn"


def _target(snapshot: Snapshot, name: str, found: list[Check], now: Now) -> dict[str, Any]:
    watched, status = snapshot.targets[name], snapshot.status[name]
    state = snapshot.state(name, now.monotonic)
    info = status.info if snapshot.up(name, now.monotonic) else None
    body: dict[str, Any] = {
        "store": watched.store,
        "state": state,
        "since": _iso(status.since),
        "required": watched.required,
        "maintenance": watched.maintenance,
        "flapping": status.flapping,
    }
    if info is not None:
        body |= {"version": info.version} | ({"role": info.role} if info.role else {})
    if status.succeeded_at is not None:
        body["data_age_seconds"] = round(max(0.0, now.wall - status.succeeded_at), 3)
    if status.latency is not None:
        body["latency_seconds"] = round(status.latency, 6)
    failing = {
        result.query.name: result.error.reason
        for result in snapshot.current(name, now.monotonic)
        if result.error is not None and result.error.reason != "unsupported"
    }
    return body | {
        "reasons": _reasons(snapshot, name, state, found),
        "missing_privileges": sorted(info.missing_privileges) if info else [],
        "failing_queries": [{"query": query, "reason": reason} for query, reason in sorted(failing.items())],
    }


def _reasons(snapshot: Snapshot, name: str, state: State, found: list[Check]) -> list[dict[str, Any]]:
    """Name what is wrong; a failed ping shows at once, however the state is damped."""
    status = snapshot.status[name]
    if status.error is not None:
        return [{"code": status.error.reason}]
    if state == "unknown":
        return [{"code": "starting" if status.polls == 0 else "stale"}]
    return [_limit_reason(check) for check in found if check.status in ("warn", "fail")]


def _limit_reason(check: Check) -> dict[str, Any]:
    reason: dict[str, Any] = {"code": "limit", "check": check.name}
    if check.value is not None and check.rule is not None:
        kind = "fail" if check.status == "fail" else "warn"
        above, below = getattr(check.rule, f"{kind}_above"), getattr(check.rule, f"{kind}_below")
        reason |= {"value": check.value, "limit": above if above is not None and check.value > above else below}
    return reason | ({"unit": check.unit} if check.unit else {})


def _check(target: str, check: Check) -> dict[str, Any]:
    body: dict[str, Any] = {"componentId": target}
    if check.value is not None:
        body["observedValue"] = check.value
    if check.unit is not None:
        body["observedUnit"] = check.unit
    body["status"] = check.status
    limits: Mapping[str, float | None] = {
        key: getattr(check.rule, name) for key, name in _LIMITS.items() if check.rule is not None
    }
    body |= {key: limit for key, limit in limits.items() if limit is not None}
    if check.output is not None:
        body["output"] = check.output
    return body | ({"time": _iso(check.time)} if check.time is not None else {})


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
