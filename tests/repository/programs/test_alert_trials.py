"""The alerts as promtool evaluates them: each fires when it should, says why, and is silent in a maintenance."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.alert_tests import (
    ALERT_RULES,
    ALERTS,
    CATALOGUES,
    AlertTest,
    Rule,
    alert_tests,
    rules_of,
    with_recorded,
)
from tests.support.promtool import Trial, verdicts

RESTING = [
    test.with_maintenance(1)
    for test in alert_tests()
    if CATALOGUES[ALERTS[test.alert]].alerts[test.alert].about == "target" and not test.tells_of_maintenance
]


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


def test_alerts_fire_outside_a_maintenance(at_work: Mapping[str, str]) -> None:
    """Where it is said that nothing is in maintenance, the tests pass just so."""
    wrong = {
        alert: re.findall(r"^ +expr: .*\n +exp: .*\n +got: .*$", said, re.MULTILINE) for alert, said in at_work.items()
    }

    assert at_work.keys() == ALERTS.keys()
    assert {alert: lines for alert, lines in wrong.items() if lines} == {}


def test_alerts_do_not_fire_in_a_maintenance(in_maintenance: Mapping[str, str]) -> None:
    """Whatever fires for a target is silent while the target is in maintenance."""
    assert in_maintenance
    assert {alert: said for alert, said in in_maintenance.items() if said.strip()} == {}


def test_annotations_say_what_and_why(at_work: Mapping[str, str]) -> None:
    """Every text is filled in, at each severity, as the tests make it fire."""
    assert [f"{alert}: {problem}" for alert, said in at_work.items() for problem in problems(alert, said)] == []


def problems(alert: str, said: str) -> Iterator[str]:
    """Name what is wrong with the texts of an alert that fired."""
    fired = re.findall(r"Labels:\{(.*)\}\s+Annotations:\{(.*)\}", said)
    texts = [text for _, text in fired]
    summaries = re.findall(r'summary="((?:[^"\\]|\\.)*)"', "\n".join(texts))
    severities = {found for labels, _ in fired for found in re.findall(r'severity="(\w+)"', labels)}
    if severities != {rule["labels"]["severity"] for rule in ALERT_RULES if rule["alert"] == alert}:
        yield f"fires as {severities}"
    if len(summaries) != len(texts):
        yield f"{len(summaries)} summaries of {len(texts)}"
    yield from (text for text in texts if re.search(r"<no value>|<error|%!|NaN|\{\{|LIMIT|JOB", text))
    yield from (text for text in summaries if re.search(r"^/|  |: :|/:|^:|\.$", text) or len(text) > 120)
