"""The check command: connect to each target, run each query once, and report failures and missing privileges."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from exporter.config.stores import Target
from exporter.datastores import open_datastore
from exporter.datastores.base import LANES, Datastore, Lane
from exporter.datastores.logins import Logins
from exporter.errors import QueryError
from exporter.logs import blanked, visible
from exporter.polling.execution import QueryRun, execute_query, failed_result, open_session, within_deadline
from exporter.polling.schedule import database_visits, lane
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query
from exporter.settings import RuntimeConfig, monitored_target, queries_for
from exporter.state.events import MonitoredTarget, Result

PING_SECONDS = 10.0


async def check(settings: RuntimeConfig) -> list[dict[str, Any]]:
    """Check all targets side by side; return one report each, in the order of the configuration."""
    logins = Logins()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_check_target(settings, target, logins)) for target in settings.config.targets]
    return [task.result() for task in tasks]


async def _check_target(settings: RuntimeConfig, target: Target, logins: Logins) -> dict[str, Any]:
    monitored, queries = monitored_target(settings.config, target), queries_for(target, settings.queries)
    report: dict[str, Any] = {"target": target.name, "store": target.store, "up": False}
    secrets = target.secrets()
    began = time.perf_counter()
    async with logins.guarded(target, open_datastore(target)) as datastore:
        try:
            info = await within_deadline(datastore.ping, PING_SECONDS, datastore.reason)
        except QueryError as error:
            return {**report, **_why(error, secrets), "queries": []}
        milliseconds = _milliseconds(time.perf_counter() - began)
        stepping = [query for query in queries if query.step_every is not None]  # a failed step does not show in rows
        results = await _run_all(monitored, "sampler", stepping, datastore, info)
        for name in LANES:
            in_lane = [query for query in queries if lane(query) == name]
            results += await _run_all(monitored, name, in_lane, datastore, info)
    return {
        **report,
        "up": True,
        "version": info.version,
        "role": info.role,
        "edition": info.edition,
        "milliseconds": milliseconds,
        "queries": [_query_report(query, results, secrets) for query in queries],
        "missing_privileges": dict(info.missing_privileges),
        "unavailable": {name: reason for name, reason in info.capabilities.items() if reason},
    }


async def _run_all(
    target: MonitoredTarget, name: Lane, queries: Sequence[Query], datastore: Datastore, info: ServerInfo
) -> list[Result]:
    """Run the queries of a lane: those of the server, then those of each database."""
    results: list[Result] = []
    if not queries:
        return results
    inside = [query for query in queries if query.scope == "database"]
    try:
        async with open_session(datastore, name) as session:
            for query in queries:
                if query.scope == "server":
                    run = QueryRun(target, query, None, info, query.timeout)
                    results.append(await execute_query(run, session, datastore))
            databases = await within_deadline(datastore.databases, PING_SECONDS, datastore.reason) if inside else ()
            for query, database in database_visits(inside, databases):
                run = QueryRun(target, query, database, info, query.timeout)
                results.append(await execute_query(run, session, datastore))
    except QueryError as error:
        done = {result.query.name for result in results}
        results += [failed_result(target, query, error) for query in queries if query.name not in done]
    return results


def _query_report(query: Query, results: Iterable[Result], secrets: Iterable[str]) -> dict[str, Any]:
    """Sum the runs of a query over its databases; of several errors report the first."""
    runs = [result for result in results if result.query is query]
    error = next((result.error for result in runs if result.error is not None), None)
    report: dict[str, Any] = {
        "query": query.name,
        "rows": sum(result.rows for result in runs),
        "series": sum(family.series for result in runs for family in result.families),
        "milliseconds": _milliseconds(sum(result.duration for result in runs)),
    }
    return report | (_why(error, secrets) if error else {})


def _why(error: QueryError, secrets: Iterable[str]) -> dict[str, str]:
    return {"reason": error.reason, "error": blanked(" ".join(str(error).split()), secrets)}


def failed(reports: Iterable[dict[str, Any]]) -> bool:
    """Return whether a target is down or a query fails; an unsupported query is no failure."""
    return any(
        not report["up"] or any(query.get("reason", "unsupported") != "unsupported" for query in report["queries"])
        for report in reports
    )


def as_json(reports: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"targets": reports}, indent=1)


def as_text(reports: Iterable[dict[str, Any]]) -> str:
    return (
        "\n\n".join("\n".join(map(visible, _target_lines(report))) for report in reports)
        or "no target is in this shard"
    )


def _target_lines(report: dict[str, Any]) -> list[str]:
    title = f"{report['target']}: {report['store']}"
    if not report["up"]:
        return [f"{title}, DOWN ({report['reason']}): {report['error']}"]
    identity = " ".join(filter(None, (report["version"], report["edition"], report["role"])))
    lines = [f"{title} {identity}, ping {report['milliseconds']} ms", ""]
    width = max((len(query["query"]) for query in report["queries"]), default=5)
    lines.append(f"  {'query':<{width}}  {'rows':>6}  {'series':>6}  {'ms':>8}  result")
    lines += [
        f"  {q['query']:<{width}}  {q['rows']:>6}  {q['series']:>6}  {q['milliseconds']:>8}  {_outcome(q)}"
        for q in report["queries"]
    ]
    if report["unavailable"]:
        lines += ["", "  not available on this server:"]
        lines += [f"    {name}: {reason}" for name, reason in sorted(report["unavailable"].items())]
    if report["missing_privileges"]:
        lines += ["", "  missing privileges, and what grants them:"]
        lines += [f"    {name}: {grant}" for name, grant in sorted(report["missing_privileges"].items())]
    return lines


def _outcome(query: dict[str, Any]) -> str:
    if "reason" not in query:
        return "ok"
    mark = "" if query["reason"] == "unsupported" else "FAILED "
    return f"{mark}{query['reason']}: {query['error']}"


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 1)
