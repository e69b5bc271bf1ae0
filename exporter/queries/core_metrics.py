"""The metrics that are not of one query: their names, types, labels and meaning."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from exporter.config.stores import STORES
from exporter.queries.query import Metric, MetricType


class CoreMetric(NamedTuple):
    """A metric of the product itself; `labels` are those beyond store and target."""

    metric: Metric
    labels: tuple[str, ...]
    from_queries: bool  # its samples come from query files, not from the exporter itself


_SET = ("check", "of")  # the set of backups, and the target whose backups they are
_Row = tuple[str, MetricType, tuple[str, ...], str]
_OWN: tuple[_Row, ...] = (
    ("datatier_up", "gauge", (), "1 when the last ping succeeded and the server serves its database, else 0."),
    ("datatier_target_state", "gauge", (),
     "State that /health shows: 0 ok, 1 unknown or starting, 2 degraded, 3 down."),
    ("datatier_target_required", "gauge", (), "1 when the target being down fails /health, 0 when it only warns."),
    ("datatier_target_maintenance", "gauge", (), "1 while the target is in maintenance: nobody is to be alerted."),
    ("datatier_target_start_time_seconds", "gauge", (), "When the server started, as Unix time."),
    ("datatier_tls_not_after_timestamp_seconds", "gauge", (), "When the server's certificate expires, as Unix time."),
    ("datatier_target_clock_skew_seconds", "gauge", (),
     "How far the server's clock is ahead of the exporter's, negative behind; HTTP tells it to a second."),
    ("datatier_target_info", "info", ("version", "edition", "role"), "Identity of the server, in labels."),
    ("datatier_target_failure", "gauge", ("reason",), "1 for the reason why the target is not up, 0 for the others."),
    ("datatier_check_state", "gauge", ("check",), "Each check of /health: 0 pass, 1 unknown, 2 warn, 3 fail."),
    ("datatier_probe_seconds", "histogram", (), "Round trip of the ping, one authenticated request."),
    ("datatier_query_seconds", "histogram", ("query",), "Duration of each query that has timing: true."),
    ("datatier_poll_last_attempt_timestamp_seconds", "gauge", (), "When the last poll ended, well or not."),
    ("datatier_poll_last_success_timestamp_seconds", "gauge", (), "When the last poll with a good ping ended."),
    ("datatier_poll_interval_seconds", "gauge", (), "How often the target is polled; scrape at a multiple of it."),
    ("datatier_poll_duration_seconds", "gauge", (), "How long the last poll took."),
    ("datatier_polls_total", "counter", (), "Polls that ended, well or not."),
    ("datatier_polls_skipped_total", "counter", (), "Polls left out because the one before still ran."),
    ("datatier_poll_failures_total", "counter", ("reason",), "Polls whose ping failed, by reason."),
    ("datatier_breaker_open", "gauge", (), "1 after three failed polls in a row, until one succeeds."),
    ("datatier_query_success", "gauge", ("query",), "1 when the query's last run gave samples, 0 when it failed."),
    ("datatier_query_duration_seconds", "gauge", ("query",), "How long the query's last run took."),
    ("datatier_query_series", "gauge", ("query",), "Series from the query's last run."),
    ("datatier_query_last_success_timestamp_seconds", "gauge", ("query",), "When the query last gave samples."),
    ("datatier_query_period_seconds", "gauge", ("query",),
     "Seconds between two runs of the query, at most in its databases; more than its interval: it has to wait."),
    ("datatier_series_dropped_total", "counter", ("query", "reason"), "Series not served, their query broke a rule."),
    ("datatier_privilege_missing", "gauge", ("privilege",), "1 for each privilege that the monitoring user lacks."),
    ("datatier_capability_info", "gauge", ("capability", "reason"), "1 when the server offers it, 0 with why not."),
    ("datatier_backup_covered", "gauge", (),
     "1 when backups of the target are watched, 0 when not; only where places of backups are configured."),
)  # fmt: skip
_FROM_QUERIES: tuple[_Row, ...] = (
    ("datatier_saturation_ratio", "gauge", ("resource",), "Used share of what is limited, by resource."),
    ("datatier_backup_info", "info", (*_SET, "format"), "Each set of backups that is watched, and its format."),
    ("datatier_backup_expected", "gauge", _SET, "1 where a backup is expected to be found."),
    ("datatier_backup_interval_seconds", "gauge", _SET,
     "How old the newest good backup may be: its interval and grace."),
    ("datatier_backup_readable", "gauge", _SET, "1 when the last look at the backups succeeded, else 0."),
    ("datatier_backup_observed_timestamp_seconds", "gauge", _SET, "When the backups were last looked at."),
    ("datatier_backups", "gauge", _SET, "How many good backups there are."),
    ("datatier_backup_bytes", "gauge", _SET, "Size of all backups there are."),
    ("datatier_backup_last_success_timestamp_seconds", "gauge", _SET,
     "When the newest good backup was made; of WAL the latest recoverable moment, of a job its last success."),
    ("datatier_backup_last_size_bytes", "gauge", _SET, "Size of the newest good backup."),
    ("datatier_backup_last_duration_seconds", "gauge", _SET,
     "How long the newest good backup, or the last successful job, took."),
    ("datatier_backup_duration_limit_seconds", "gauge", _SET, "How long making a backup, or the job, may take."),
    ("datatier_backup_median_size_bytes", "gauge", _SET, "Median size of the last good backups, 14 at most."),
    ("datatier_backup_shrink_ratio", "gauge", _SET,
     "Share of the median size below which the newest good backup is suspicious."),
    ("datatier_backup_oldest_timestamp_seconds", "gauge", _SET, "When the oldest good backup was made."),
    ("datatier_backup_newest_rejected", "gauge", (*_SET, "reason"),
     "1 for the reason why the newest backup is not good, 0 for the others."),
    ("datatier_backup_rejected", "gauge", (*_SET, "reason"), "How many backups are not good, by reason."),
    ("datatier_backup_retained", "gauge", (*_SET, "tier"),
     "Days, weeks, months or years that have a good backup; 1 for the tier `reach` when the oldest is old enough."),
    ("datatier_backup_retention_expected", "gauge", (*_SET, "tier"),
     "Days, weeks, months or years that must have a good backup: by `keep`, none before the first one."),
    ("datatier_backup_wal_segments", "gauge", _SET, "Segments of the write-ahead log in the archive."),
    ("datatier_backup_wal_gaps", "gauge", _SET,
     "Segments that the archive lacks and a recovery to any time within `keep` needs."),
    ("datatier_backup_recoverable_from_timestamp_seconds", "gauge", _SET, "The earliest time that can be recovered."),
    ("datatier_backup_recoverable_until_timestamp_seconds", "gauge", _SET, "The latest time that can be recovered."),
    ("datatier_backup_copy_behind_seconds", "gauge", _SET, "How much older the newest copy is than its original."),
    ("datatier_backup_copy_missing", "gauge", _SET, "Backups, or objects, of the original that the copy lacks."),
    ("datatier_backup_copy_differing", "gauge", _SET, "Copies that are not as large as their originals."),
)  # fmt: skip


def _metrics() -> Iterator[CoreMetric]:
    for from_queries, rows in ((False, _OWN), (True, _FROM_QUERIES)):
        for name, kind, labels, text in rows:
            yield CoreMetric(Metric(name=name, type=kind, help=text), labels, from_queries)
    for store in STORES.values():
        text = f"The same as datatier_up, for the {store.name} targets."
        yield CoreMetric(Metric(name=store.up, type="gauge", help=text), (), from_queries=False)


CORE_METRICS: Mapping[str, CoreMetric] = MappingProxyType({core.metric.name: core for core in _metrics()})
