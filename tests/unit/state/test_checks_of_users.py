"""A check that a user writes into a query file: seen in /health, as a metric, and in the state of its target."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.settings import read_queries
from tests.support.app_client import AppClient
from tests.support.factories import Events, monitored_target, write

FILE = """
query: SELECT 1
metrics:
  jobs_used_ratio: {type: gauge, help: "Share of the workers that work.", value: used}
health: %s
"""
STATES = {"pass": 0.0, "unknown": 1.0, "warn": 2.0, "fail": 3.0}


@pytest.mark.parametrize(
    ("rule", "used", "status"),
    [
        ("{check: jobs, metric: jobs_used_ratio, threshold: disk_used_ratio}", 0.7, "pass"),
        ("{check: jobs, metric: jobs_used_ratio, threshold: disk_used_ratio}", 0.85, "warn"),
        ("{check: jobs, metric: jobs_used_ratio, threshold: disk_used_ratio}", 0.95, "fail"),
        ("{check: jobs, metric: jobs_used_ratio, warn_above: 0.5}", 0.7, "warn"),
        ("{check: jobs, metric: jobs_used_ratio, fail_above: 0.5}", 0.7, "fail"),
        ("{check: jobs, metric: jobs_used_ratio, warn_below: 0.8, fail_below: 0.2}", 0.7, "warn"),
        ("{check: jobs, metric: jobs_used_ratio, warn_below: 0.8, fail_below: 0.75}", 0.7, "fail"),
        ("{check: jobs, metric: jobs_used_ratio, warn_above: 0.5}", None, "unknown"),
        ("{check: jobs, metric: jobs_used_ratio, warn_above: 0.5}", float("inf"), "warn"),
        ("{check: jobs, status: verdict}", "pass", "pass"),
        ("{check: jobs, status: verdict}", "unknown", "unknown"),
        ("{check: jobs, status: verdict}", "warn", "warn"),
        ("{check: jobs, status: verdict}", "fail", "fail"),
    ],
)
def test_a_users_check_is_seen_everywhere(
    app_client: AppClient, tmp_path: Path, rule: str, used: float | str | None, status: str
) -> None:
    """With a threshold of the table, limits of its own, or rows that bring their verdict."""
    write(tmp_path / "postgres" / "jobs.yaml", FILE % rule)
    [jobs] = [query for query in read_queries(["postgres"], [tmp_path]) if query.name == "jobs"]
    row = {"used": 0.5, "verdict": used} if isinstance(used, str) else {"used": used}
    events = Events(monitored_target("orders"))
    app_client.publish(events.ping(1.0), events.result(1.0, jobs, [row]), events.poll(1.0))
    app_client.now = 2.0
    body = app_client.health("/health/targets/orders")
    families = {
        family.name: family for family in text_string_to_metric_families(app_client.client.get("/metrics").text)
    }
    wanted = {"store": "postgres", "target": "orders", "check": "jobs"}
    [metric] = [sample.value for sample in families["datatier_check_state"].samples if sample.labels == wanted]

    assert (body["checks"]["orders:jobs"][0]["status"], metric) == (status, STATES[status])
    assert body["targets"]["orders"]["state"] == ("degraded" if status in ("warn", "fail") else "ok")
