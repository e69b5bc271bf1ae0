"""The page of one target at /targets/NAME: its checks, and every query with its last result."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.health.report import report
from exporter.queries.conditions import ServerInfo
from exporter.state.events import Instant, Result, by_query
from exporter.state.snapshot import Snapshot, findings
from exporter.status_page import humanize
from exporter.status_page.overview import Body, Moment, TargetView, moment, moment_of, refresh_seconds, target_view
from exporter.units import span

_ALL = 100  # reasons
_NAMED = 5  # databases


class CheckView(NamedTuple):
    """Hold what is shown of one check; what it does not have is empty."""

    name: str
    status: str
    value: str
    warns: str
    fails: str
    says: str


class QueryView(NamedTuple):
    """Hold what is shown of a query's last result, that of all its databases together."""

    name: str
    failed: bool
    outcome: str
    took: str
    series: str
    asked: Moment


@dataclass(frozen=True, slots=True)
class TargetPage:
    """Hold what the page shows; `absent` are the queries that this server does not support, with the reason."""

    target: TargetView
    facts: tuple[tuple[str, str], ...]
    checks: tuple[CheckView, ...]
    privileges: tuple[tuple[str, str], ...]
    queries: tuple[QueryView, ...]
    absent: tuple[tuple[str, str], ...]
    findings: int
    time: Moment
    refresh: int


def target_page(snapshot: Snapshot, name: str, now: Instant) -> TargetPage:
    """Return the page of a target."""
    body = report(snapshot, now, [name])
    runs = by_query(snapshot.fresh_results(name, now.monotonic))
    absent = {query: why for query, results in runs.items() if (why := _absent(results))}
    return TargetPage(
        target=target_view(body, name, now, _ALL),
        facts=tuple(_facts(snapshot, body, name, now)),
        checks=tuple(_check(key.partition(":")[2], check) for key, [check] in body["checks"].items()),
        privileges=tuple((missing, _lost(missing, runs)) for missing in body["targets"][name]["missing_privileges"]),
        queries=tuple(
            sorted(
                (_query(query, results, now) for query, results in runs.items() if query not in absent),
                key=lambda query: (not query.failed, query.name),
            )
        ),
        absent=tuple(sorted(absent.items())),
        findings=sum(map(len, findings(snapshot, name, now).values())),
        time=moment(body["time"], now),
        refresh=refresh_seconds([snapshot.targets[name]]),
    )


def _facts(snapshot: Snapshot, body: Body, name: str, now: Instant) -> Iterator[tuple[str, str]]:
    monitored, target = snapshot.targets[name], body["targets"][name]
    info: ServerInfo | None = snapshot.status[name].info if snapshot.up(name, now.monotonic) else None
    yield "Required", "yes: /health fails with it" if monitored.required else "no: /health only warns"
    if monitored.groups:
        yield "Groups", ", ".join(monitored.groups)
    yield "Polled", f"every {humanize.quantity(monitored.interval, 'seconds')}"
    if "data_age_seconds" in target:
        yield "Last good poll", f"{span(target['data_age_seconds'])} ago"
    if info is not None and info.edition:
        yield "Edition", info.edition
    if info is not None and info.started_at is not None:
        yield "Server has run for", span(now.wall - info.started_at)


def _check(name: str, check: Body) -> CheckView:
    unit, value = check.get("observedUnit"), check.get("observedValue")
    return CheckView(
        name=humanize.title(name),
        status=check["status"],
        value="" if value is None else humanize.quantity(value, unit),
        warns=_limit(check, "warn", unit),
        fails=_limit(check, "fail", unit),
        says=_says(name, check),
    )


def _says(name: str, check: Body) -> str:
    """Return a check's findings, or the reason why it is unknown or the server does not respond."""
    output: str = check.get("output", "")
    return humanize.reason(output) if check["status"] == "unknown" or name == "responseTime" else output


def _limit(check: Body, kind: str, unit: str | None) -> str:
    """Return the limits of a value; without a value their unit is unknown."""
    if "observedValue" not in check:
        return ""
    limits = {">": check.get(f"{kind}Above"), "<": check.get(f"{kind}Below")}
    return " or ".join(
        f"{sign} {humanize.quantity(limit, unit)}" for sign, limit in limits.items() if limit is not None
    )


def _query(name: str, results: Sequence[Result], now: Instant) -> QueryView:
    asked = [result for result in results if not result.unsupported]
    failed = [result for result in asked if result.error is not None]
    return QueryView(
        name=name,
        failed=bool(failed),
        outcome=_outcome(failed, len(asked)),
        took=humanize.quantity(sum(result.duration for result in asked), "seconds"),
        series=f"{sum(sum(result.series.values()) for result in results):,}",
        asked=moment_of(max(result.finished_at for result in asked), now),
    )


def _outcome(failed: Sequence[Result], databases: int) -> str:
    """Return the reasons of a failure and the databases it is in, else the number of databases."""
    if not failed:
        return f"ok in {databases} databases" if databases > 1 else "ok"
    reasons = dict.fromkeys(humanize.reason(result.error.reason) for result in failed if result.error)
    where = humanize.listed([result.database for result in failed if result.database], _NAMED)
    return ", ".join(reasons) + (f" in {where}" if where else "")


def _absent(results: Sequence[Result]) -> str | None:
    """Return why a query is not supported; None where some database supports it."""
    reasons = [result.error.shown for result in results if result.error and result.unsupported]
    return reasons[0] if len(reasons) == len(results) else None


def _lost(privilege: str, runs: dict[str, list[Result]]) -> str:
    """Return the queries that return less, or nothing, without a privilege."""
    word = re.compile(rf"\b{re.escape(privilege)}\b")
    return ", ".join(sorted(name for name, [result, *_] in runs.items() if word.search(result.query.privilege or "")))
