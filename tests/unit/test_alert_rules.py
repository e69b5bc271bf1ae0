"""datatier-exporter rules: the catalogue with the limits and stores of a configuration."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import alert_rules
from exporter.cli import main
from exporter.config.thresholds import THRESHOLDS, Limit, limits
from tests.support.alert_tests import AlertTest
from tests.support.factories import write
from tests.support.paths import ROOT
from tests.support.promtool import Trial, verdicts

WORDS = (
    ": readers of the replica see old data, and a failover now would lose it. A long query on the replica, a slow "
    "network or disk, a receiver that is not there?"
)
COMMITTED = ROOT / "alerts" / "rules"
TARGETS = """
targets:
  - {name: orders, store: postgres, url: "postgresql://monitor@db1/postgres"}
  - {name: pool, store: pgbouncer, url: "postgresql://monitor@db1/pgbouncer"}
"""


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["rules", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def alerts(text: str, name: str) -> list[dict[str, Any]]:
    found = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return [rule for rule in found if rule.get("alert") == name]


@pytest.mark.parametrize("name", alert_rules.names())
def test_committed_rules_are_the_output(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`make docs` writes them; nobody edits them."""
    assert (COMMITTED / f"{name}.yaml").read_text() == printed(capsys, name)


def test_nothing_else_is_committed() -> None:
    assert {path.stem for path in COMMITTED.iterdir()} == set(alert_rules.names())


def test_stores_and_limits_are_the_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is watched has rules, and each limit is the user's, in the expression and in the text."""
    mine = "thresholds: {connections_used_ratio: {warn: 0.5, fail: 0.6}}"
    text = printed(capsys, "--config", write(tmp_path / "datatier.yaml", TARGETS + mine))
    [warning, critical] = alerts(text, "PostgresConnectionsHigh")

    assert [group["name"] for group in yaml.safe_load(text)["groups"]] == [
        "datatier-core",
        "datatier-exporter",
        "datatier-slo",
        "datatier-postgres",
    ]
    assert (warning["expr"].splitlines()[0], critical["expr"].splitlines()[0]) == (
        'pg_connections_used_ratio{target!=""} > 0.5',
        'pg_connections_used_ratio{target!=""} > 0.6',
    )
    assert "{{ 0.6 | humanizePercentage }}" in critical["annotations"]["description"]


def test_a_limit_that_is_not_set_raises_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`fail: null` takes the page away; a number where there was none brings one."""
    mine = "thresholds: {connections_used_ratio: {warn: 0.5, fail: null}, bloat_ratio: {warn: 0.5, fail: 0.8}}"
    text = printed(capsys, "--config", write(tmp_path / "datatier.yaml", TARGETS + mine))

    assert [rule["labels"]["severity"] for rule in alerts(text, "PostgresConnectionsHigh")] == ["warning"]
    assert [rule["labels"]["severity"] for rule in alerts(text, "PostgresBloatHigh")] == ["warning", "critical"]


def test_the_job_is_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever the exporter's own scrape is meant."""
    text = printed(capsys, "exporter", "--job", "data-tier-eu")

    assert [rule["expr"] for rule in alerts(text, "DataTierExporterDown")] == ['up{job="data-tier-eu"} == 0']
    assert "JOB" not in text


def test_the_operators_form(capsys: pytest.CaptureFixture[str]) -> None:
    """The same groups, as a PrometheusRule."""
    groups = yaml.safe_load(printed(capsys))["groups"]
    rule = yaml.safe_load(printed(capsys, "--format", "operator"))

    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert rule["spec"]["groups"] == groups


def test_a_name_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, with the names there are."""
    assert main(["rules", "mysql"]) == 2
    said = capsys.readouterr().err

    assert said == f"no rules are named mysql; there are {', '.join(alert_rules.names())}\n"


def test_limits_keep_their_digits() -> None:
    """What people write in bytes or seconds must not come out as 4.29497e+09."""
    [group] = alert_rules.groups(
        ["postgres"], limits({"replication_lag_bytes": Limit(warn=123456789012345, fail=None)})
    )
    [rule] = [rule for rule in group["rules"] if rule.get("alert") == "PostgresReplicationLagBytes"]

    assert "> 123456789012345\n" in rule["expr"]


def test_every_limit_that_only_alerts_read_is_read() -> None:
    """A name in the table that nobody reads would be an option without effect."""
    alerting = {alert.limit for name in alert_rules.names() for alert in alert_rules.catalogue(name).alerts.values()}
    queries = "\n".join(path.read_text() for path in (COMMITTED.parent.parent / "queries").rglob("*.yaml"))
    checking = set(re.findall(r"threshold: (\w+)", queries)) | {"response_seconds"}

    assert THRESHOLDS.keys() - alerting - checking == set()


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
    """Where the general limit pages nobody, this one does."""
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
