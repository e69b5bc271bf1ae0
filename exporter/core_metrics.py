"""The metrics that are not of one query: their names, types, labels and meaning."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from exporter.query import Metric, MetricType

BACKUP_LABELS = ("check",)


class CoreMetric(NamedTuple):
    """A metric of the product itself; `labels` are those beyond store and target where it is of a target."""

    metric: Metric
    labels: tuple[str, ...]
    fed: bool  # by query files, not by the exporter itself


def _core(name: str, kind: MetricType, text: str, *labels: str, fed: bool = False) -> tuple[str, CoreMetric]:
    return name, CoreMetric(Metric(name=name, type=kind, help=text), labels, fed)


CORE_METRICS: Mapping[str, CoreMetric] = MappingProxyType(
    dict(
        [
            _core("datatier_up", "gauge", "1 when the last ping of the target succeeded, else 0."),
            _core(
                "datatier_target_state",
                "gauge",
                "State that /health shows: 0 ok, 1 unknown or starting, 2 degraded, 3 down.",
            ),
            _core(
                "datatier_target_required", "gauge", "1 when the target being down makes /health fail, 0 when it warns."
            ),
            _core("datatier_target_start_time_seconds", "gauge", "When the server started, as Unix time."),
            _core(
                "datatier_target_info",
                "info",
                "Identity of the server; a change is a change of labels.",
                "version",
                "edition",
                "role",
            ),
            _core(
                "datatier_target_failure",
                "gauge",
                "1 for the reason why the target is not up, 0 for the others.",
                "reason",
            ),
            _core(
                "datatier_check_state", "gauge", "Each check of /health: 0 pass, 1 unknown, 2 warn, 3 fail.", "check"
            ),
            _core("datatier_probe_seconds", "histogram", "Round trip of the ping, one authenticated request."),
            _core("datatier_query_seconds", "histogram", "Duration of each query with timing: true.", "query"),
            _core("datatier_poll_last_attempt_timestamp_seconds", "gauge", "When the last poll ended, well or not."),
            _core(
                "datatier_poll_last_success_timestamp_seconds", "gauge", "When the last poll with a good ping ended."
            ),
            _core(
                "datatier_poll_interval_seconds",
                "gauge",
                "How often the target is polled; the scrape interval should be a multiple of it.",
            ),
            _core("datatier_poll_duration_seconds", "gauge", "How long the last poll took."),
            _core("datatier_polls_total", "counter", "Polls begun."),
            _core("datatier_polls_skipped_total", "counter", "Polls not begun because the one before still ran."),
            _core("datatier_poll_failures_total", "counter", "Polls whose ping failed, by reason.", "reason"),
            _core("datatier_breaker_open", "gauge", "1 while only pings are sent because three polls in a row failed."),
            _core(
                "datatier_query_success",
                "gauge",
                "1 when the query's last run gave samples, 0 when it failed.",
                "query",
            ),
            _core("datatier_query_duration_seconds", "gauge", "How long the query's last run took.", "query"),
            _core("datatier_query_series", "gauge", "Series from the query's last run.", "query"),
            _core(
                "datatier_query_last_success_timestamp_seconds", "gauge", "When the query last gave samples.", "query"
            ),
            _core(
                "datatier_series_dropped_total",
                "counter",
                "Series not served because their query broke a rule.",
                "query",
                "reason",
            ),
            _core(
                "datatier_privilege_missing",
                "gauge",
                "1 for each privilege that the monitoring user lacks.",
                "privilege",
            ),
            _core(
                "datatier_capability_info",
                "gauge",
                "1 when the server offers the capability, 0 when not, with the reason.",
                "capability",
                "reason",
            ),
            _core(
                "datatier_saturation_ratio",
                "gauge",
                "Used share of what is limited, by resource.",
                "resource",
                fed=True,
            ),
            _core(
                "datatier_backup_last_success_timestamp_seconds",
                "gauge",
                "When the newest good backup was made.",
                *BACKUP_LABELS,
                fed=True,
            ),
            _core(
                "datatier_backup_last_size_bytes", "gauge", "Size of the newest good backup.", *BACKUP_LABELS, fed=True
            ),
            _core("datatier_backups", "gauge", "Backups there are.", *BACKUP_LABELS, fed=True),
            _core(
                "datatier_backup_oldest_timestamp_seconds",
                "gauge",
                "When the oldest backup was made.",
                *BACKUP_LABELS,
                fed=True,
            ),
            _core(
                "datatier_backup_expected",
                "gauge",
                "1 where a backup is expected to be found.",
                *BACKUP_LABELS,
                fed=True,
            ),
            _core(
                "datatier_tls_not_after_timestamp_seconds", "gauge", "When the server's certificate expires.", fed=True
            ),
            _core("datatier_scrape_page_bytes", "gauge", "Size of the last /metrics page before compression."),
            _core(
                "datatier_scrape_page_series", "gauge", "Series on the last /metrics page, the exporter's own left out."
            ),
        ]
    )
)
