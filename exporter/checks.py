"""The checks of a target, each one verdict: what /health lists, and what datatier_check_state tells Prometheus."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exporter.findings import in_database
from exporter.snapshot import Now, Result, Snapshot
from exporter.verdict import STATUSES, HealthRule, Status

_EVERYWHERE = ("responseTime", "replicationLag", "diskSpace")
OUR_OWN = ("responseTime", "privileges")  # those that no query makes
_UNITS = ("seconds", "bytes", "ratio")
_LISTED = 10
_NONE_MISSING = HealthRule(check="privileges", metric="datatier_privilege_missing", warn_above=0)


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


def checks(snapshot: Snapshot, target: str, now: Now) -> list[Check]:
    """Return a target's checks: those that every target has, then those of its queries, each by its worst verdict.

    One that the target's configuration turns off keeps its value and is unknown: nobody judges it.
    """
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
    for name in snapshot.targets[target].unjudged & found.keys():
        found[name] = replace(found[name], status="unknown", rule=None, output="off")
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
