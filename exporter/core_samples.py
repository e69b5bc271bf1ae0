"""The samples of the core metrics: a pure view of the snapshot."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple, get_args

from exporter.core_metrics import UP_ALIASES
from exporter.health import checks
from exporter.query import STATUSES, Labels, Reason, Value
from exporter.snapshot import STATES, Now, Result, Snapshot, TargetStatus

_REASONS: tuple[Reason, ...] = get_args(Reason)


class Sample(NamedTuple):
    """Hold one sample of a core metric; store and target are added where it is rendered."""

    metric: str
    target: str
    labels: Labels
    value: Value


def core_samples(snapshot: Snapshot, now: Now) -> Iterator[Sample]:
    """Yield every core sample; a value of None is no sample."""
    results: defaultdict[str, list[Result]] = defaultdict(list)
    for result in snapshot.current(now.monotonic):
        results[result.target].append(result)
    for name in snapshot.targets:
        yield from _of_target(snapshot, name, now)
        yield from _of_polls(name, snapshot.status[name])
        yield from _of_queries(snapshot, name, results[name])
        yield from _of_server(snapshot, name, results[name], now)
        for check in checks(snapshot, name, now):
            state = float(STATUSES.index(check.status))
            yield Sample("datatier_check_state", name, (("check", check.name),), state)


def _of_target(snapshot: Snapshot, name: str, now: Now) -> Iterator[Sample]:
    watched, status = snapshot.targets[name], snapshot.status[name]
    yield Sample("datatier_up", name, (), float(snapshot.up(name, now.monotonic)))
    yield Sample(UP_ALIASES[watched.store], name, (), float(snapshot.up(name, now.monotonic)))
    yield Sample("datatier_target_state", name, (), float(STATES.index(snapshot.state(name, now.monotonic))))
    yield Sample("datatier_target_required", name, (), float(watched.required))
    yield Sample("datatier_poll_interval_seconds", name, (), watched.interval)
    yield Sample("datatier_probe_seconds", name, (), snapshot.probes[name].value())
    failure = status.error.reason if status.error else None
    for reason in _REASONS:
        yield Sample("datatier_target_failure", name, (("reason", reason),), float(reason == failure))


def _of_polls(name: str, status: TargetStatus) -> Iterator[Sample]:
    yield Sample("datatier_poll_last_attempt_timestamp_seconds", name, (), status.attempted_at)
    yield Sample("datatier_poll_last_success_timestamp_seconds", name, (), status.succeeded_at)
    yield Sample("datatier_poll_duration_seconds", name, (), status.poll_duration)
    yield Sample("datatier_polls_total", name, (), float(status.polls))
    yield Sample("datatier_polls_skipped_total", name, (), float(status.skipped))
    yield Sample("datatier_breaker_open", name, (), float(status.breaker_open))
    for reason in _REASONS:
        count = float(status.failures.get(reason, 0))
        yield Sample("datatier_poll_failures_total", name, (("reason", reason),), count)


def _of_queries(snapshot: Snapshot, name: str, results: list[Result]) -> Iterator[Sample]:
    """Add up each query's databases: success is all of them, duration and series their sum."""
    runs: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.error is None or result.error.reason != "unsupported":
            runs[result.query.name].append(result)
    for query, found in runs.items():
        label = (("query", query),)
        series = sum(family.series for result in found for family in result.families)
        yield Sample("datatier_query_success", name, label, float(all(result.error is None for result in found)))
        yield Sample("datatier_query_duration_seconds", name, label, sum(result.duration for result in found))
        yield Sample("datatier_query_series", name, label, float(series))
    for (target, query), when in snapshot.query_succeeded_at.items():
        if target == name:
            yield Sample("datatier_query_last_success_timestamp_seconds", name, (("query", query),), when)
    for (target, query), timing in snapshot.timings.items():
        if target == name:
            yield Sample("datatier_query_seconds", name, (("query", query),), timing.value())
    for (target, query, reason), count in snapshot.dropped.items():
        if target == name:
            labels = (("query", query), ("reason", reason))
            yield Sample("datatier_series_dropped_total", name, labels, float(count))


def _of_server(snapshot: Snapshot, name: str, results: list[Result], now: Now) -> Iterator[Sample]:
    """Describe a server that is up; an unsupported query is a capability that is not there."""
    info = snapshot.status[name].info
    if info is None or not snapshot.up(name, now.monotonic):
        return
    identity = (("version", info.version), ("edition", info.edition), ("role", info.role))
    yield Sample("datatier_target_info", name, identity, 1.0)
    yield Sample("datatier_target_start_time_seconds", name, (), info.started_at)
    for privilege in sorted(info.missing_privileges):
        yield Sample("datatier_privilege_missing", name, (("privilege", privilege),), 1.0)
    absent = {
        result.query.name: str(result.error)
        for result in results
        if result.error is not None and result.error.reason == "unsupported"
    }
    for capability, reason in {**absent, **info.capabilities}.items():
        labels = (("capability", capability), ("reason", reason))
        yield Sample("datatier_capability_info", name, labels, float(not reason))
