"""The status page at /, made from the body of /health, so that the two cannot disagree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from exporter.health.target_health import queries_fail
from exporter.state.events import Instant, MonitoredTarget
from exporter.state.local_fault import MEANINGS
from exporter.status_page import humanize
from exporter.units import span

Body = Mapping[str, Any]  # of /health, or a part of it

_WORST_FIRST = ("down", "degraded", "unknown", "maintenance", "ok")
_MEASURES = {"responseTime": "", "replicationLag": "lag", "diskSpace": "disk"}
_NAMED = 3  # targets in the headline, reasons and failing queries of a target
_DETAIL = 100  # characters
_DAY = 86400
_REFRESH = (5, 60)  # seconds: the shortest and the longest pause


class Moment(NamedTuple):
    """Hold a time as text: for machines, exact, as a time of the day, and how long ago it was."""

    iso: str
    exact: str
    clock: str
    ago: str

    @property
    def brief(self) -> str:
        return " ".join(self.ago.split(" ")[:2])


class ReasonView(NamedTuple):
    """Hold what is wrong ("connections"), how much ("91 %, limit 90 %", "(2)") and where ("app:public.orders")."""

    what: str
    amount: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TargetView:
    """Hold what is shown of one target; `shown` is its state or "maintenance"."""

    name: str
    facts: tuple[str, ...]
    state: str
    shown: str
    since: Moment
    required: bool
    flapping: bool
    reasons: tuple[ReasonView, ...]
    more_reasons: int
    failing: str
    failures: int
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """Hold what the page shows; `status` is that of /health."""

    headline: str
    worst: str
    summary: str
    status: str
    notes: tuple[str, ...]
    troubled: tuple[TargetView, ...]
    fine: tuple[TargetView, ...]
    time: Moment
    refresh: int


def overview(body: Body, refresh: int, now: Instant) -> Overview:
    """Return the page of a body of /health: every target, the worst first."""
    targets = sorted(
        (target_view(body, name, now) for name in body["targets"]),
        key=lambda target: (
            _WORST_FIRST.index(target.shown),
            target.shown != "ok" and not target.required,
            target.name,
        ),
    )
    return Overview(
        headline=_headline(targets),
        worst=targets[0].shown if targets else "unknown",
        summary=_summary(targets),
        status=body["status"],
        notes=tuple(_general_notes(body)),
        troubled=tuple(target for target in targets if target.shown != "ok"),
        fine=tuple(target for target in targets if target.shown == "ok"),
        time=moment(body["time"], now),
        refresh=refresh,
    )


def target_view(body: Body, name: str, now: Instant, most: int = _NAMED) -> TargetView:
    """Return one target of a body of /health, with at most so many reasons."""
    target = body["targets"][name]
    reasons = [_reason(reason, _check(body, name, reason.get("check")), target, now) for reason in target["reasons"]]
    return TargetView(
        name=name,
        facts=tuple(filter(None, (f"{target['store']} {target.get('version', '')}".strip(), target.get("role")))),
        state=target["state"],
        shown="maintenance" if target.get("maintenance") else target["state"],
        since=moment(target["since"], now),
        required=target["required"],
        flapping=target["flapping"],
        reasons=tuple(reasons[:most]),
        more_reasons=max(0, len(reasons) - most),
        failing=_failing(target["failing_queries"]),
        failures=len(target["failing_queries"]),
        measures=tuple(_measures(body, name)),
    )


def moment(iso: str, now: Instant) -> Moment:
    """Parse a time of /health."""
    return moment_of(datetime.fromisoformat(iso).timestamp(), now)


def moment_of(seconds: float, now: Instant) -> Moment:
    at, age = datetime.fromtimestamp(seconds, UTC), now.wall - seconds
    return Moment(
        iso=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        exact=at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        clock=at.strftime("%H:%M UTC" if age < _DAY else "%Y-%m-%d"),
        ago=span(age),
    )


def refresh_seconds(targets: Iterable[MonitoredTarget]) -> int:
    """Return the seconds after which the page is worth fetching again."""
    shortest, longest = _REFRESH
    soonest = min((target.interval for target in targets), default=longest)
    return round(min(max(soonest, shortest), longest))


def _headline(targets: Sequence[TargetView]) -> str:
    """Return the headline: whether all targets are ok, else the worst, and how many queries fail."""
    judged = [target for target in targets if target.shown != "maintenance"]
    if not judged:
        return "Every target is in maintenance" if targets else "No target is configured"
    worst = judged[0].shown
    failing = queries_fail(sum(target.failures for target in judged))
    names = humanize.listed([target.name for target in judged if target.shown == worst], _NAMED)
    if worst == "ok":
        fine = f"All {len(judged)} targets are fine" if len(judged) > 1 else f"{names} is fine"
        return f"{fine}, but {failing}" if failing else fine
    count = sum(target.shown == worst for target in judged)
    are = f"{count} of {len(judged)} targets {'is' if count == 1 else 'are'} {worst}: {names}"
    return (f"{names} is {worst}" if len(judged) == 1 else are) + (f"; {failing}" if failing else "")


def _summary(targets: Sequence[TargetView]) -> str:
    counts = Counter(target.shown for target in targets)
    words = {"maintenance": "in maintenance"}
    return ", ".join(f"{counts[state]} {words.get(state, state)}" for state in _WORST_FIRST if counts[state])


def _general_notes(body: Body) -> list[str]:
    """Return the notes of /health that are not about one target; the reasons of those are shown anyway."""
    return [note for note in body["notes"] if note.partition(":")[0] not in body["targets"]]


def _check(body: Body, name: str, check: str | None) -> Body:
    return body["checks"].get(f"{name}:{check}", [{}])[0]  # type: ignore[no-any-return]  # a part of a Body is one


def _reason(reason: Body, check: Body, target: Body, now: Instant) -> ReasonView:
    if reason["code"] == "held":
        return ReasonView(_held(reason, target, now))
    shown = _limit(reason, check) if "check" in reason else _failure(reason)
    return shown._replace(what=f"at the last poll: {shown.what}") if reason.get("pending") else shown


def _failure(reason: Body) -> ReasonView:
    return ReasonView(humanize.reason(reason["code"]), detail=MEANINGS[reason["local"]] if "local" in reason else "")


def _limit(reason: Body, check: Body) -> ReasonView:
    what, detail = humanize.title(reason["check"]), humanize.shortened(check.get("output", ""), _DETAIL)
    value, limit, unit = reason.get("value"), reason.get("limit"), reason.get("unit")
    if value is None:
        return ReasonView(what, "" if detail else "broken", detail)
    if not limit:  # where any is too many, the number is enough
        return ReasonView(what, f"({humanize.quantity(value, unit)})", detail)
    shown, shown_limit = humanize.against(value, limit, unit)
    return ReasonView(what, f"{shown}, limit {shown_limit}", detail)


def _held(reason: Body, target: Body, now: Instant) -> str:
    """Explain a state that is held although the last poll observed another: the next poll must agree."""
    since = f" since {moment(reason['since'], now).clock}" if "since" in reason else ""
    if any(other.get("pending") and "check" not in other for other in target["reasons"]):
        change = "this was the matter"  # and is worse now
    else:
        change = f"{'answers again' if target['state'] == 'down' else 'well again'}{since}"
    was = humanize.title(reason["check"]) if "check" in reason else humanize.reason(reason.get("was", ""))
    return f"{change}, was: {was}" if was else change


def _failing(queries: Sequence[Body]) -> str:
    """Return how many queries fail, why, and their names."""
    if not queries:
        return ""
    count = queries_fail(len(queries))
    reasons = ", ".join(dict.fromkeys(humanize.reason(query["reason"]) for query in queries))
    return f"{count} ({reasons}): {humanize.listed([query['query'] for query in queries], _NAMED)}"


def _measures(body: Body, name: str) -> list[str]:
    """Return the measures that every target may have: response time, lag, disk."""
    found = []
    for key, word in _MEASURES.items():
        check = _check(body, name, key)
        if "observedValue" in check:
            found.append(f"{word} {humanize.quantity(check['observedValue'], check.get('observedUnit'), 2)}".strip())
    return found
