"""The alerts: each has tests, a runbook and a dashboard, and speaks of what is declared."""

import json
import re
from collections import Counter
from collections.abc import Iterator

from exporter import alert_rules
from exporter.config.thresholds import THRESHOLDS
from tests.support.alert_tests import ALERT_RULES, ALERTS, CATALOGUES, CLAUSE, RULES, Rule, alert_tests, label
from tests.support.paths import ROOT
from tests.support.promql import EVERYWHERE, STORE_PREFIXES, declared, selectors, strange_metrics, unknown_words

RUNBOOKS = ROOT / "docs" / "runbooks"


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


def test_rules_name_metrics_and_labels_that_are_declared() -> None:
    """Each metric and label of an expression or a text exists; the series are ours alone."""
    assert [f"{label(rule)}: {word}" for rule in RULES for word in undeclared(rule)] == []


def undeclared(rule: Rule) -> Iterator[str]:
    annotations = " ".join(rule.get("annotations", {}).values())
    own = {"alertname", *rule.get("labels", {})}
    there = EVERYWHERE.union(own, *(declared().get(selector.name, ()) for selector in selectors(rule["expr"])))
    yield from map(str, unknown_words(rule["expr"]))
    yield from set(re.findall(r"\$labels\.(\w+)", annotations)) - there
    yield from strange_metrics(annotations)


def test_rules_leave_other_exporters_alone() -> None:
    """What a foreign postgres_exporter serves under the same names has no target."""
    foreign = [
        f"{label(rule)}: {selector.name}"
        for rule in RULES
        for selector in selectors(rule["expr"].removesuffix(CLAUSE))
        if selector.name.startswith(STORE_PREFIXES)
        and not {"target", "cluster"} & selector.labels
        and f") {selector.name}" not in rule["expr"]  # the right side of a join: only what matches counts
    ]

    assert foreign == []


def test_rules_carry_what_a_receiver_needs() -> None:
    """Where to look and what to do is in each alert, and each lasts for two scrapes at least, or looks back."""
    assert [f"{label(rule)}: {lack}" for rule in ALERT_RULES for lack in lacks(rule)] == []


def lacks(rule: Rule) -> Iterator[str]:
    """Name what an alert's rule lacks."""
    if rule["labels"]["component"] != "data-tier":
        yield "component"
    if rule["annotations"].keys() != {"summary", "description", "dashboard", "runbook_url"}:
        yield "annotations"
    if (ROOT / rule["annotations"]["runbook_url"]).stem != rule["alert"]:
        yield "runbook"
    if not ("for" in rule or re.search(r"\[|vector\(1\)", rule["expr"])):
        yield "for"


def test_dashboards_of_alerts_are_there() -> None:
    """The link of an alert opens a page."""
    uids = {name: catalogue.dashboard for name, catalogue in CATALOGUES.items()}
    files = {uid: ROOT / "dashboards" / f"{uid.removeprefix('datatier-')}.json" for uid in uids.values()}

    assert uids.keys() == set(alert_rules.names())
    assert {uid: json.loads(file.read_text())["uid"] for uid, file in files.items()} == {uid: uid for uid in files}


def test_limits_are_those_of_the_table() -> None:
    """What a configuration can set is what the catalogue reads."""
    used = {alert.limit for catalogue in CATALOGUES.values() for alert in catalogue.alerts.values()} - {None}

    assert used - THRESHOLDS.keys() == set()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    """The link in the page leads somewhere."""
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == ALERTS.keys()


def test_runbooks_have_their_sections_and_declared_words() -> None:
    """Meaning, impact, diagnosis, mitigation, in this order; short."""
    texts = {alert: (RUNBOOKS / f"{alert}.md").read_text() for alert in ALERTS}
    sections = {alert: re.findall(r"^#+ (.+)$", text, re.MULTILINE) for alert, text in texts.items()}

    assert sections == {alert: [alert, "Meaning", "Impact", "Diagnosis", "Mitigation"] for alert in ALERTS}
    assert [alert for alert, text in texts.items() if len(text.splitlines()) >= 60] == []
    assert [f"{alert}: {name}" for alert, text in texts.items() for name in strange_metrics(text)] == []
