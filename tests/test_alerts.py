"""The alerts: each fires when it should and not just before, says why, and is silent in a maintenance."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter import rules
from exporter.thresholds import THRESHOLDS
from tests.promtool import ROOT, TESTS, AlertTest, Rule, Trial, alert_tests, rules_of, verdicts
from tests.vocabulary import EVERYWHERE, declared, selectors, strange_metrics, unknown_words

NAMES = rules.names()
ALERTS = {alert: name for name in NAMES for alert in rules.catalogue(name).alerts}
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES = [rule for name in NAMES for rule in rules_of(name)]
ALERT_RULES = [rule for rule in RULES if "alert" in rule]
CLAUSE = "unless on (job, instance, target) datatier_target_maintenance == 1"


def label(rule: Rule) -> str:
    return f"{rule['alert']}-{rule['labels']['severity']}" if "alert" in rule else str(rule["record"])


def test_promtool_has_no_complaint(promtool: Path) -> None:
    """Not even a lint."""
    files = sorted(map(str, (ROOT / "alerts" / "rules").glob("*.yaml")))
    command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert files
    assert (done.returncode, done.stderr) == (0, "")


def test_the_committed_tests_pass_on_the_committed_rules(promtool: Path) -> None:
    """As anybody runs them: promtool test rules alerts/tests/*.yaml."""
    command = [str(promtool), "test", "rules", *sorted(map(str, TESTS.glob("*.yaml")))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_alert_has_tests_that_fire_and_stay_quiet() -> None:
    """At each severity that it has."""
    fires: Counter[str] = Counter()
    quiet: Counter[str] = Counter()
    for test in alert_tests():
        for asked in test.body["promql_expr_test"]:
            severities = {
                found for sample in asked["exp_samples"] for found in re.findall(r'severity="(\w+)"', sample["labels"])
            }
            fires.update(f"{test.alert}-{severity}" for severity in severities)
            quiet.update(
                f"{test.alert}-{rule['labels']['severity']}"
                for rule in ALERT_RULES
                if rule["alert"] == test.alert and rule["labels"]["severity"] not in severities
            )
    wanted = {label(rule) for rule in ALERT_RULES}

    assert wanted - fires.keys() == set()
    assert wanted - quiet.keys() == {"DataTierWatchdog-none"}
    assert {test.alert for test in alert_tests()} == ALERTS.keys()


def test_nothing_fires_in_a_maintenance(promtool: Path, tmp_path: Path) -> None:
    """Whatever fires for a target is silent while the target is in maintenance, and fires as ever after it."""
    tested = [
        test for test in alert_tests() if rules.catalogue(ALERTS[test.alert]).alerts[test.alert].about == "target"
    ]
    trials = [
        Trial(own_rules(test), [in_maintenance(test.body, value, silent=value == 1)], test.every)
        for test in tested
        if "datatier_target_maintenance" not in str(test.body)
        for value in (0, 1)
    ]

    assert [said for said in verdicts(promtool, tmp_path, trials) if said] == []


def own_rules(test: AlertTest) -> list[Rule]:
    """Return the rules that a test needs: its alert's, and what is recorded for them."""
    return [rule for rule in rules_of(ALERTS[test.alert]) if rule.get("alert", test.alert) == test.alert]


def in_maintenance(body: Mapping[str, Any], value: int, *, silent: bool) -> dict[str, Any]:
    """Return a test whose targets all are in maintenance, or not."""
    targets = {found for entry in body["input_series"] for found in re.findall(r'target="([^"]*)"', entry["series"])}
    states = [
        {"series": f'datatier_target_maintenance{{target="{name}"}}', "values": f"{value}x2000"} for name in targets
    ]
    asked = [{**one, "exp_samples": [] if silent else one["exp_samples"]} for one in body["promql_expr_test"]]
    return {**body, "input_series": [*body["input_series"], *states], "promql_expr_test": asked}


def test_annotations_say_what_and_why(promtool: Path, tmp_path: Path) -> None:
    """Every text is filled in, for each alert as its test makes it fire."""
    trials = []
    for test in alert_tests():
        times = [asked["eval_time"] for asked in test.body["promql_expr_test"] if asked["exp_samples"]]
        asked = [{"eval_time": time, "alertname": test.alert, "exp_alerts": []} for time in times]
        body = {key: value for key, value in test.body.items() if key != "promql_expr_test"}
        if times:
            trials.append(Trial(own_rules(test), [{**body, "alert_rule_test": asked}], test.every))
    said = "\n".join(verdicts(promtool, tmp_path, trials))
    texts = re.findall(r"Annotations:\{(.*)\},?$", said, re.MULTILINE)
    summaries = [re.search(r'summary="((?:[^"\\]|\\.)*)"', text)[1] for text in texts]  # type: ignore[index] # every alert has one

    assert len(texts) >= len(ALERT_RULES)
    assert [text for text in texts if re.search(r"<no value>|<error|%!|NaN|\{\{|LIMIT|JOB", text)] == []
    assert [text for text in summaries if re.search(r"^/|  |: :|/:|^:|\.$", text) or len(text) > 120] == []


@pytest.mark.parametrize("rule", RULES, ids=label)
def test_rules_use_words_that_are_declared(rule: Rule) -> None:
    """Each metric and label of an expression or a text exists; the series are ours alone."""
    annotations = " ".join(rule.get("annotations", {}).values())
    own = {"alertname", *rule.get("labels", {})}
    there = EVERYWHERE.union(own, *(declared().get(selector.name, ()) for selector in selectors(rule["expr"])))

    assert unknown_words(rule["expr"]) == []
    assert set(re.findall(r"\$labels\.(\w+)", annotations)) - there == set()
    assert strange_metrics(annotations) == set()


@pytest.mark.parametrize("rule", RULES, ids=label)
def test_rules_leave_other_exporters_alone(rule: Rule) -> None:
    """What a foreign postgres_exporter serves under the same names has no target."""
    foreign = [
        selector.name
        for selector in selectors(rule["expr"].removesuffix(CLAUSE))
        if selector.name.startswith(("pg_", "pgbouncer_", "neo4j_", "qdrant_", "minio_", "s3_"))
        and not {"target", "cluster"} & selector.labels
        and f") {selector.name}" not in rule["expr"]  # the right side of a join: only what matches counts
    ]

    assert foreign == []


@pytest.mark.parametrize("rule", ALERT_RULES, ids=label)
def test_rules_carry_what_a_receiver_needs(rule: Rule) -> None:
    """Where to look and what to do is in each alert, and each lasts for two scrapes at least, or looks back."""
    assert rule["labels"]["component"] == "data-tier"
    assert rule["annotations"].keys() == {"summary", "description", "dashboard", "runbook_url"}
    assert (ROOT / rule["annotations"]["runbook_url"]).stem == rule["alert"]
    assert "for" in rule or re.search(r"\[|vector\(1\)", rule["expr"])


@pytest.mark.parametrize("name", NAMES)
def test_the_dashboard_is_there(name: str) -> None:
    """The link of an alert opens a page."""
    uid = rules.catalogue(name).dashboard
    page = json.loads((ROOT / "dashboards" / f"{uid.removeprefix('datatier-')}.json").read_text())

    assert page["uid"] == uid


def test_the_example_for_prometheus_loads_all_rules(promtool: Path) -> None:
    """It finds the rules where they lie."""
    config = ROOT / "deploy" / "prometheus" / "prometheus.yml"
    done = subprocess.run([str(promtool), "check", "config", str(config)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert f"{len(NAMES)} rule files found" in done.stdout


def test_limits_are_those_of_the_table() -> None:
    """What a configuration can set is what the catalogue reads."""
    used = {alert.limit for name in NAMES for alert in rules.catalogue(name).alerts.values()} - {None}

    assert used - THRESHOLDS.keys() == set()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """The link in the page leads somewhere."""
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == ALERTS.keys()


@pytest.mark.parametrize("alert", ALERTS)
def test_runbooks_have_their_sections_and_declared_words(alert: str) -> None:
    """Meaning, impact, diagnosis, mitigation, in this order; short."""
    text = (RUNBOOKS / f"{alert}.md").read_text()

    assert re.findall(r"^#+ (.+)$", text, re.MULTILINE) == [alert, "Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert len(text.splitlines()) < 60
    assert strange_metrics(text) == set()
