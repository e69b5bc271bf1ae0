"""The checks of a target, one outcome each: /health lists them, datatier_check_state exports them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from exporter.queries.health_rule import STATUSES, CheckOutcome, HealthRule, Status
from exporter.state.events import MonitoredTarget, Result
from exporter.state.target_status import Cause, State, TargetStatus
from exporter.units import span

EVERYWHERE = ("responseTime", "replicationLag", "diskSpace")
OUR_OWN = ("responseTime", "clockSkew", "privileges", "queries", "overrun")  # those that no query makes
_UNITS = ("seconds", "bytes", "ratio")
_LISTED = 10
_FAILURES = 2  # in a row: a single one may be a lock or a restart
DATABASES = "databases"  # of queries about all databases, and of a ping to a server that does not serve its database
_NONE_MISSING = HealthRule(check="privileges", metric="datatier_privilege_missing", warn_above=0)
_NONE_OVERRUN = HealthRule(check="overrun", metric="datatier_query_period_seconds", warn_above=0)
_NONE_FAILING = HealthRule(check="queries", metric="datatier_query_success", warn_above=0)


@dataclass(frozen=True, slots=True)
class Check:
    """Hold the outcome of one check; `output` is a reason code where there is no value."""

    name: str
    status: Status
    time: float | None = None
    value: float | None = None
    unit: str | None = None
    rule: HealthRule | None = None
    output: str | None = None


class Known(NamedTuple):
    """Hold what is known of one target at one moment.

    results: those that may be served. fresh: whether its poller has published something recently.
    """

    target: MonitoredTarget
    status: TargetStatus
    results: Sequence[Result]
    fresh: bool

    @property
    def up(self) -> bool:
        return self.status.up and self.fresh


def checks(known: Known) -> list[Check]:
    """Return a target's checks: those of every target, then those of its queries, each with its worst outcome.

    A check that the target's configuration turns off keeps its value; its status is unknown.
    """
    found = {"responseTime": _response(known)}
    if (clock := _clock(known)) is not None:
        found[clock.name] = clock
    if known.up:
        own = (_privileges(known.status), _queries(known), _overrun(known.status))
        found |= {check.name: check for check in (*own, *_databases(known.status))}
    for result in known.results:
        for check in _of_result(result):
            before = found.get(check.name)
            if before is None or STATUSES.index(check.status) > STATUSES.index(before.status):
                found[check.name] = check
    silence = "not_exposed_by_server" if known.up else "no_recent_sample"
    for name in EVERYWHERE:
        found.setdefault(name, Check(name, "unknown", output=silence))
    for name in known.target.unjudged & found.keys():
        found[name] = replace(found[name], status="unknown", rule=None, output="off")
    return [found.pop(name) for name in EVERYWHERE] + [found[name] for name in sorted(found)]


def serves(known: Known) -> bool:
    """Return whether a server is up and, unless that check is off, serves its database."""
    info, judged = known.status.info, DATABASES not in known.target.unjudged
    return known.up and not (judged and info and info.unserved)


def observed(known: Known, found: Sequence[Check] | None = None) -> tuple[State, Cause | None]:
    """Return a target's undamped state, and its cause unless it is ok or unknown; `found`: its checks, if at hand."""
    if known.status.error is not None:
        return "down", Cause(known.status.error.reason)
    if not known.status.up:
        return "unknown", None
    if not serves(known):
        return "down", Cause("limit", DATABASES)
    bad = [check.name for check in found or checks(known) if check.status in ("warn", "fail")]
    return ("degraded", Cause("limit", bad[0])) if bad else ("ok", None)


def _response(known: Known) -> Check:
    status, limit = known.status, known.target.response
    rule = HealthRule(
        check="responseTime", metric="datatier_probe_seconds", warn_above=limit.warn, fail_above=limit.fail
    )
    if status.error is not None:
        return Check("responseTime", "fail", status.attempted_at, rule=rule, output=status.error.reason)
    if status.latency is None or not known.up:
        return Check("responseTime", "unknown", rule=rule, output="starting" if status.polls == 0 else "stale")
    return Check("responseTime", rule.judge(status.latency), status.attempted_at, status.latency, "seconds", rule)


def _clock(known: Known) -> Check | None:
    """Judge how far apart the clocks are: known even of a server that refuses the login because of it."""
    status, limit = known.status, known.target.clock_skew
    if status.clock_skew is None or not known.fresh:
        return None
    rule = HealthRule(
        check="clockSkew", metric="datatier_target_clock_skew_seconds", warn_above=limit.warn, fail_above=limit.fail
    )
    apart = abs(status.clock_skew)
    state = rule.judge(apart)
    where = "ahead of" if status.clock_skew > 0 else "behind"
    output = None if state == "pass" else f"the server's clock is {where} the exporter's"
    return Check("clockSkew", state, status.attempted_at, apart, "seconds", rule, output)


def _privileges(status: TargetStatus) -> Check:
    """Warn of missing privileges: what they hide is not known to be healthy."""
    missing = sorted(status.info.missing_privileges) if status.info else []
    return _none("privileges", _NONE_MISSING, missing, status.attempted_at)


def _queries(known: Known) -> Check:
    """Warn of built-in queries that fail repeatedly: what they observe goes unmonitored."""
    failing = {
        result.query.name: f"{result.query.name} ({result.error.reason})"  # once, in however many databases
        for result in known.results
        if result.error is not None and result.failed_in_row >= _FAILURES and not result.query.untrusted
    }
    return _none("queries", _NONE_FAILING, [failing[name] for name in sorted(failing)], known.status.attempted_at)


def _databases(status: TargetStatus) -> Sequence[Check]:
    """Fail where the server responds but does not serve its database."""
    unserved = status.info.unserved if status.info else ""
    return [Check(DATABASES, "fail", status.attempted_at, output=unserved)] if unserved else []


def _overrun(status: TargetStatus) -> Check:
    """Warn of queries that run so seldom that their samples are older than their intervals allow."""
    words = [f"{query} (every {span(period)})" for query, period in sorted(status.overruns.items())]
    return _none("overrun", _NONE_OVERRUN, words, status.attempted_at)


def _none(check: str, rule: HealthRule, names: Sequence[str], time: float | None) -> Check:
    """Judge the number of things of which there should be none."""
    count = float(len(names))
    return Check(check, rule.judge(count), time, count, None, rule, _listed(names))


def _of_result(result: Result) -> Sequence[Check]:
    """Return the checks of a query; one without an outcome is unknown, if the query's file names it."""
    rule = result.query.health
    if result.outcomes or rule is None or rule.check is None:
        return [_of_outcome(result, outcome) for outcome in result.outcomes]
    silence = result.error.reason if result.error else "no_recent_sample"
    return [Check(rule.check, "unknown", result.finished_at, rule=rule, output=silence)]


def _of_outcome(result: Result, outcome: CheckOutcome) -> Check:
    metric = outcome.rule.metric
    unit = next((unit for unit in _UNITS if metric and metric.endswith(unit)), None)
    output: str | None = result.error.reason if result.error else None
    if outcome.status != "pass" and result.error is None:
        output = _listed([result.in_database(name) for name in outcome.findings])
    return Check(outcome.check, outcome.status, result.finished_at, outcome.value, unit, outcome.rule, output)


def _listed(findings: Sequence[str]) -> str | None:
    """Return the first findings as one text; all of them are at /findings."""
    more = f" and {len(findings) - _LISTED} more" if len(findings) > _LISTED else ""
    return ", ".join(findings[:_LISTED]) + more or None
