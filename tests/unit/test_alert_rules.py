"""datatier-exporter rules: the catalogue with the limits and stores of a configuration."""

import re
from pathlib import Path

import pytest
import yaml

from exporter import alert_rules
from exporter.cli import main
from exporter.config.thresholds import THRESHOLDS, Limit, limits
from tests.support.alert_tests import alerts, printed
from tests.support.factories import write
from tests.support.paths import ROOT

COMMITTED = ROOT / "alerts" / "rules"
TARGETS = """
targets:
  - {name: orders, store: postgres, url: "postgresql://monitor@db1/postgres"}
  - {name: pool, store: pgbouncer, url: "postgresql://monitor@db1/pgbouncer"}
"""


@pytest.mark.parametrize("name", alert_rules.names())
def test_committed_rules_are_the_output(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`make docs` writes them; they are not edited."""
    assert (COMMITTED / f"{name}.yaml").read_text() == printed(capsys, name)


def test_committed_rules_are_those_of_the_catalogue() -> None:
    assert {path.stem for path in COMMITTED.iterdir()} == set(alert_rules.names())


def test_stores_and_limits_are_the_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is watched has rules, and each limit is the user's, in the expression and in the text."""
    mine = "thresholds: {connections_used_ratio: {warn: 0.5, fail: 0.6}}"
    text = printed(capsys, "--config", write(tmp_path / "datatier.yaml", TARGETS + mine))
    [warning, critical] = alerts(text, "PostgresConnectionsHigh")

    assert [group["name"] for group in yaml.safe_load(text)["groups"]] == [
        "datatier-backups",
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


def test_a_set_of_backups_whose_check_is_off_raises_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every alert on sets leaves it out, and nothing else."""
    sets = "[{name: daily, of: orders, files: 'x*', every: 1d}, {name: c, of: orders, files: 'y*', every: 1d}]"
    place = f"{{name: nas, store: backups, url: 'file:///b', sets: {sets}, checks: {{daily: off}}}}"
    text = printed(capsys, "--config", write(tmp_path / "datatier.yaml", f"{TARGETS}  - {place}\n"))
    without = (
        'unless on (job, instance, target, check) (datatier_backup_expected{target="nas",check="daily"})\n'
        "unless on (job, instance, target) datatier_target_maintenance == 1"
    )
    [group] = [group for group in yaml.safe_load(text)["groups"] if group["name"] == "datatier-backups"]
    others = {rule["alert"] for rule in group["rules"] if "alert" in rule and not rule["expr"].endswith(without)}

    assert others == {"DataTierTargetWithoutBackup"}
    assert without not in "".join(rule["expr"] for rule in alerts(text, "DataTierTargetDown"))


def test_the_job_is_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    """In every expression on the exporter's own scrape."""
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
    printed = capsys.readouterr().err

    assert printed == f"no rules are named mysql; there are {', '.join(alert_rules.names())}\n"


def test_limits_keep_their_digits() -> None:
    """What people write in bytes or seconds must not come out as 4.29497e+09."""
    [group] = alert_rules.groups(
        ["postgres"], limits({"replication_lag_bytes": Limit(warn=123456789012345, fail=None)})
    )
    [rule] = [rule for rule in group["rules"] if rule.get("alert") == "PostgresReplicationLagBytes"]

    assert "> 123456789012345\n" in rule["expr"]


def test_every_limit_that_only_alerts_read_is_read() -> None:
    """A name in the table without a reader would be an option without effect."""
    alerting = {alert.limit for name in alert_rules.names() for alert in alert_rules.catalogue(name).alerts.values()}
    queries = "\n".join(path.read_text() for path in (COMMITTED.parent.parent / "queries").rglob("*.yaml"))
    checking = set(re.findall(r"threshold: (\w+)", queries)) | {"response_seconds"}

    assert THRESHOLDS.keys() - alerting - checking == set()
