"""Alerts of targets with limits of their own, as promtool evaluates them."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.alert_tests import AlertTest, alerts, printed
from tests.support.factories import write
from tests.support.promtool import Trial, verdicts

WORDS = (
    ": readers of the replica see old data, and a failover now would lose it. A long query on the replica, a slow "
    "network or disk, a receiver that is not there?"
)
OWN = """
targets:
  - {name: orders, store: postgres, url: "postgresql://monitor@db1/postgres"}
  - {name: eu.1, store: postgres, url: "postgresql://monitor@db2/postgres",
     thresholds: {replication_lag_seconds: {warn: 7200, fail: null}}}
  - {name: eux1, store: postgres, url: "postgresql://monitor@db3/postgres", checks: {replicationLag: off}}
  - {name: search, store: qdrant, url: "http://q:6333", thresholds: {replication_lag_seconds: {warn: 1, fail: 2}}}
"""


def firing(promtool: Path, rules: list[dict[str, Any]], lags: Mapping[str, float], expected: Mapping[str, str]) -> str:
    """Return what promtool says to rules on lags by target; `expected` has what fires and its words on the limit."""
    series = [
        {"series": f'{name}{{job="d",instance="i",target="{target}"}}', "values": f"{value}x20"}
        for target, lag in lags.items()
        for name, value in {"pg_replication_worst_lag_seconds": lag, "datatier_up": 1}.items()
    ]
    limits = [
        {**rule, "annotations": {"limit": rule["annotations"]["description"].replace(WORDS, "")}} for rule in rules
    ]
    alerts = [
        {
            "exp_labels": {"job": "d", "instance": "i", "target": name.partition(" ")[0], **rule["labels"]},
            "exp_annotations": {"limit": text},
        }
        for name, text in expected.items()
        for rule in rules
        if rule["labels"]["severity"] == name.partition(" ")[2]
    ]
    asked = [{"eval_time": "15m", "alertname": rules[0]["alert"], "exp_alerts": alerts}]
    body = {"interval": "1m", "input_series": series, "alert_rule_test": asked}
    [said] = verdicts(promtool, [Trial(limits, AlertTest(rules[0]["alert"], "1m", body))])
    return said


def test_targets_with_limits_of_their_own(tmp_path: Path, promtool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The alert knows them, tells them, and leaves out a check that is off; another store's have no part in it."""
    text = printed(capsys, "--config", write(tmp_path / "datatier.yaml", OWN))
    path = write(tmp_path / "alert_rules.yaml", text)
    subprocess.run([promtool, "check", "rules", "--lint=all", "--lint-fatal", path], check=True, capture_output=True)
    lag = alerts(text, "PostgresReplicationLag")
    slow, slower = {"orders": 1000, "eu.1": 1000, "eux1": 1000}, {"orders": 9000, "eu.1": 9000, "eux1": 9000}
    general = {"orders warning": "More than 30s", "orders critical": "More than 5m 0s"}

    assert firing(promtool, lag, slow, general) == ""
    assert firing(promtool, lag, slower, {**general, "eu.1 warning": "More than 2h 0m 0s"}) == ""
    assert firing(promtool, lag, {"eux1": 9000, "euX1": 9000}, {}) != ""  # a name's dot is a dot, and the test can fail


def test_a_severity_that_one_target_alone_has(
    tmp_path: Path, promtool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the general limit raises no alert, this one does."""
    mine = OWN + "thresholds: {replication_lag_seconds: {warn: 30, fail: null}}"
    text = printed(
        capsys, "--config", write(tmp_path / "datatier.yaml", mine.replace("fail: null}}}", "fail: 8000}}}"))
    )
    lag = alerts(text, "PostgresReplicationLag")
    expected = {"orders warning": "More than 30s", "eu.1 warning": "More than 2h 0m 0s"}

    assert (
        firing(promtool, lag, {"orders": 9000, "eu.1": 9000}, {**expected, "eu.1 critical": "More than 2h 13m 20s"})
        == ""
    )
