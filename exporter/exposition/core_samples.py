"""The samples of the core metrics: a pure view of the snapshot."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, get_args

from exporter.config.stores import STORES
from exporter.errors import Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import STATUSES
from exporter.queries.query import Value
from exporter.queries.values import Labels
from exporter.state.checks import Known, checks, serves
from exporter.state.counters import TargetCounters
from exporter.state.events import Instant, Result, by_query
from exporter.state.snapshot import Snapshot
from exporter.state.target_status import STATES, State, TargetStatus

_REPLICA = "replica"  # as the last successful ping knew it: one that is down is still one
_REASONS: tuple[Reason, ...] = get_args(Reason)


class Sample(NamedTuple):
    """Hold one sample of a core metric; rendering adds store and target."""

    metric: str
    labels: Labels
    value: Value


def core_samples(snapshot: Snapshot, target: str, now: Instant) -> Iterator[Sample]:
    """Yield a target's core samples; a value of None is no sample."""
    known = snapshot.known(target, now.monotonic)
    yield from _of_target(known, snapshot.state(target, now.monotonic))
    yield from _of_polls(known.status)
    yield from _of_counters(snapshot.counters[target])
    if known.up:
        yield from _of_queries(known.results)
        for query, seconds in known.status.periods.items():
            yield Sample("datatier_query_period_seconds", (("query", query),), seconds)
        yield from _of_server(known.status.info, known.results)
    for check in checks(known):
        yield Sample("datatier_check_state", (("check", check.name),), float(STATUSES.index(check.status)))


def _of_target(known: Known, state: State) -> Iterator[Sample]:
    target, status, up = known.target, known.status, serves(known)
    yield Sample("datatier_up", (), float(up))
    yield Sample(STORES[target.store].up, (), float(up))
    yield Sample("datatier_target_state", (), float(STATES.index(state)))
    yield Sample("datatier_target_required", (), float(target.required))
    yield Sample("datatier_target_maintenance", (), float(target.maintenance))
    yield Sample("datatier_backup_covered", (), _covered(known))
    yield Sample("datatier_poll_interval_seconds", (), target.interval)
    yield Sample("datatier_target_clock_skew_seconds", (), status.clock_skew if known.fresh else None)
    failure = status.error.reason if status.error else None
    for reason in _REASONS:
        yield Sample("datatier_target_failure", (("reason", reason),), float(reason == failure))


def _covered(known: Known) -> float | None:
    """Return whether backups of the target are watched; None of a replica: those of its primary are enough."""
    covered, info = known.target.covered, known.status.info
    return None if covered is None or (info is not None and info.role == _REPLICA) else float(covered)


def _of_polls(status: TargetStatus) -> Iterator[Sample]:
    yield Sample("datatier_poll_last_attempt_timestamp_seconds", (), status.attempted_at)
    yield Sample("datatier_poll_last_success_timestamp_seconds", (), status.succeeded_at)
    yield Sample("datatier_poll_duration_seconds", (), status.poll_duration)
    yield Sample("datatier_polls_total", (), float(status.polls))
    yield Sample("datatier_polls_skipped_total", (), float(status.skipped))
    yield Sample("datatier_breaker_open", (), float(status.breaker_open))
    for reason in _REASONS:
        count = float(status.failures.get(reason, 0))
        yield Sample("datatier_poll_failures_total", (("reason", reason),), count)


def _of_counters(counters: TargetCounters) -> Iterator[Sample]:
    yield Sample("datatier_probe_seconds", (), counters.probes.value())
    for query, when in counters.succeeded_at.items():
        yield Sample("datatier_query_last_success_timestamp_seconds", (("query", query),), when)
    for query, timing in counters.timings.items():
        yield Sample("datatier_query_seconds", (("query", query),), timing.value())
    for (query, reason), count in counters.dropped.items():
        labels = (("query", query), ("reason", reason))
        yield Sample("datatier_series_dropped_total", labels, float(count))


def _of_queries(results: Sequence[Result]) -> Iterator[Sample]:
    """Sum up each query over its databases: it succeeded if it did in all; durations and series are added."""
    for query, found in by_query(result for result in results if not result.unsupported).items():
        label = (("query", query),)
        series = sum(sum(result.series.values()) for result in found)
        yield Sample("datatier_query_success", label, float(all(result.error is None for result in found)))
        yield Sample("datatier_query_duration_seconds", label, sum(result.duration for result in found))
        yield Sample("datatier_query_series", label, float(series))


def _of_server(info: ServerInfo | None, results: Sequence[Result]) -> Iterator[Sample]:
    """Describe a server that is up; an unsupported query is a missing capability."""
    if info is None:
        return
    identity = (("version", info.version), ("edition", info.edition), ("role", info.role))
    yield Sample("datatier_target_info", identity, 1.0)
    yield Sample("datatier_target_start_time_seconds", (), info.started_at)
    yield Sample("datatier_tls_not_after_timestamp_seconds", (), info.tls_not_after)
    for privilege in sorted(info.missing_privileges):
        yield Sample("datatier_privilege_missing", (("privilege", privilege),), 1.0)
    absent = {
        name: found[0].error.shown
        for name, found in by_query(results).items()
        if found[0].error and all(result.unsupported for result in found)
    }
    for capability, reason in {**absent, **info.capabilities}.items():
        labels = (("capability", capability), ("reason", reason))
        yield Sample("datatier_capability_info", labels, float(not reason))
