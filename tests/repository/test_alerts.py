"""The alerts: each fires when it should and not just before, says why, and is silent in a maintenance."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from exporter import alert_rules
from exporter.config.thresholds import THRESHOLDS
from tests.support.alert_tests import CLAUSE, AlertTest, Rule, alert_tests, label, rules_of, with_recorded
from tests.support.paths import ROOT
from tests.support.promql import EVERYWHERE, declared, selectors, strange_metrics, unknown_words
from tests.support.promtool import Trial, verdicts

NAMES = alert_rules.names()
CATALOGUES = {name: alert_rules.catalogue(name) for name in NAMES}
ALERTS = {alert: name for name, catalogue in CATALOGUES.items() for alert in catalogue.alerts}
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES = [rule for name in NAMES for rule in rules_of(name)]
ALERT_RULES = [rule for rule in RULES if "alert" in rule]
RESTING = [
    test.with_maintenance(1)
    for test in alert_tests()
    if CATALOGUES[ALERTS[test.alert]].alerts[test.alert].about == "target" and not test.tells_of_maintenance
]


def test_promtool_has_no_complaint(promtool: Path) -> None:
    """Not even a lint."""
    files = sorted(map(str, (ROOT / "alerts" / "rules").glob("*.yaml")))
    command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert files
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


@pytest.fixture(scope="module")
def at_work(promtool: Path) -> Mapping[str, str]:
    """Return what promtool says to each alert's tests when nothing is in maintenance, and the texts of what fires."""
    return answers(promtool, [asking_for_texts(test) for test in alert_tests()])


@pytest.fixture(scope="module")
def in_maintenance(promtool: Path) -> Mapping[str, str]:
    """Return what promtool says to each alert's tests when all is in maintenance and nothing should fire."""
    return answers(promtool, RESTING)


def answers(promtool: Path, tests: Sequence[AlertTest]) -> Mapping[str, str]:
    said = verdicts(promtool, [Trial(own_rules(test.alert), test) for test in tests])
    found: dict[str, str] = {}
    for test, text in zip(tests, said, strict=True):
        found[test.alert] = found.get(test.alert, "") + text + "\n"
    return found


def own_rules(alert: str) -> list[Rule]:
    all_rules = rules_of(ALERTS[alert])
    return with_recorded([rule for rule in all_rules if rule.get("alert") == alert], all_rules)


def asking_for_texts(test: AlertTest) -> AlertTest:
    """Expect no alert whenever some fire: promtool then prints them."""
    told = test if test.tells_of_maintenance else test.with_maintenance(0)
    times = [asked["eval_time"] for asked in test.body["promql_expr_test"] if asked["exp_samples"]]
    asked = [{"eval_time": time, "alertname": test.alert, "exp_alerts": []} for time in times]
    return told._replace(body={**told.body, "alert_rule_test": asked})


@pytest.mark.parametrize("alert", ALERTS)
def test_it_fires_outside_a_maintenance(alert: str, at_work: Mapping[str, str]) -> None:
    """Where it is said that nothing is in maintenance, the tests pass just so."""
    wrong = re.findall(r"^ +expr: .*\n +exp: .*\n +got: .*$", at_work[alert], re.MULTILINE)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("alert", sorted({test.alert for test in RESTING}))
def test_nothing_fires_in_a_maintenance(alert: str, in_maintenance: Mapping[str, str]) -> None:
    """Whatever fires for a target is silent while the target is in maintenance."""
    wrong = in_maintenance[alert].strip()

    assert not wrong, wrong


@pytest.mark.parametrize("alert", ALERTS)
def test_annotations_say_what_and_why(alert: str, at_work: Mapping[str, str]) -> None:
    """Every text is filled in, at each severity, as the tests make it fire."""
    fired = re.findall(r"Labels:\{(.*)\}\s+Annotations:\{(.*)\}", at_work[alert])
    texts = [text for _, text in fired]
    summaries = re.findall(r'summary="((?:[^"\\]|\\.)*)"', "\n".join(texts))
    severities = {found for labels, _ in fired for found in re.findall(r'severity="(\w+)"', labels)}

    assert severities == {rule["labels"]["severity"] for rule in ALERT_RULES if rule["alert"] == alert}
    assert len(summaries) == len(texts)
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
    uid = CATALOGUES[name].dashboard
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
    used = {alert.limit for catalogue in CATALOGUES.values() for alert in catalogue.alerts.values()} - {None}

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
