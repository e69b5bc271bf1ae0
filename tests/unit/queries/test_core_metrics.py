"""The product's own metrics are what the design names."""

import pytest

from exporter.config.stores import STORES
from exporter.config.targets import CORE_LABELS
from exporter.queries.core_metrics import CORE_METRICS

_SET = ("check", "of")
_OF_SETS = (
    "expected", "interval_seconds", "readable", "observed_timestamp_seconds", "bytes",
    "last_success_timestamp_seconds", "last_size_bytes", "last_duration_seconds", "duration_limit_seconds",
    "median_size_bytes", "shrink_ratio", "oldest_timestamp_seconds", "wal_segments", "wal_gaps",
    "recoverable_from_timestamp_seconds", "recoverable_until_timestamp_seconds", "copy_behind_seconds",
    "copy_missing", "copy_differing",
)  # fmt: skip
FED = {
    "datatier_saturation_ratio": ("resource",),
    "datatier_backups": _SET,
    "datatier_backup_info": (*_SET, "format"),
    "datatier_backup_newest_rejected": (*_SET, "reason"),
    "datatier_backup_rejected": (*_SET, "reason"),
    "datatier_backup_retained": (*_SET, "tier"),
    "datatier_backup_retention_expected": (*_SET, "tier"),
} | {f"datatier_backup_{name}": _SET for name in _OF_SETS}


def test_query_files_may_make_these() -> None:
    """Each with exactly these labels beside store and target."""
    assert {name: core.labels for name, core in CORE_METRICS.items() if core.from_queries} == FED


def test_every_store_has_a_metric_for_up() -> None:
    """Dashboards of other exporters look for it."""
    assert {store.up for store in STORES.values()} <= CORE_METRICS.keys()
    assert len({store.up for store in STORES.values()}) == len(STORES)


def test_targets_cannot_have_the_labels_of_core_metrics() -> None:
    """The configuration knows nothing of metrics, so the names are written there once more."""
    assert {label for core in CORE_METRICS.values() for label in core.labels} == CORE_LABELS


@pytest.mark.parametrize("name", sorted(CORE_METRICS))
def test_names_follow_the_rules_for_everybody(name: str) -> None:
    """A counter ends in _total and nothing else does; no help is empty."""
    metric = CORE_METRICS[name].metric

    assert name.endswith("_total") == (metric.type == "counter")
    assert name.endswith("_info") == (metric.type == "info" or name == "datatier_capability_info")
    assert metric.help.endswith(".")
