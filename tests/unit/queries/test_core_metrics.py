"""The product's own metrics are what the design names."""

import pytest

from exporter.config.stores import STORES
from exporter.config.targets import CORE_LABELS
from exporter.queries.core_metrics import CORE_METRICS

FED = {
    "datatier_saturation_ratio": ("resource",),
    "datatier_backup_last_success_timestamp_seconds": ("check",),
    "datatier_backup_last_size_bytes": ("check",),
    "datatier_backups": ("check",),
    "datatier_backup_oldest_timestamp_seconds": ("check",),
    "datatier_backup_expected": ("check",),
}


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
