"""The tests under alerts/tests, each with the rules that it needs."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import pytest
import yaml

from exporter import alert_rules
from exporter.cli import main
from exporter.units import parse_duration
from tests.support.paths import ROOT
from tests.support.promql import selectors

FILES = sorted((ROOT / "alerts" / "tests").glob("*.yaml"))
CLAUSE = "unless on (job, instance, target) datatier_target_maintenance == 1"
_FIRING = re.compile(r'alertname="(\w+)"')

Rule = dict[str, Any]


class AlertTest(NamedTuple):
    """One test of a file."""

    alert: str
    every: str  # how often rules are evaluated
    body: Mapping[str, Any]

    @property
    def evaluations(self) -> float:
        """Count how often the rules are evaluated: what the test costs."""
        return parse_duration(self.body["promql_expr_test"][-1]["eval_time"]) / parse_duration(self.every)

    @property
    def tells_of_maintenance(self) -> bool:
        """Tell whether the test itself says what is in maintenance."""
        return "datatier_target_maintenance" in str(self.body)

    def with_maintenance(self, value: int) -> "AlertTest":
        """Put all targets in maintenance (1), where nothing fires, or say that none is (0)."""
        body = self.body
        targets = set(re.findall(r'target="([^"]*)"', str([entry["series"] for entry in body["input_series"]])))
        states = [
            {"series": f'datatier_target_maintenance{{target="{name}"}}', "values": f"{value}x2000"}
            for name in sorted(targets)
        ]
        asked = [{**one, "exp_samples": [] if value else one["exp_samples"]} for one in body["promql_expr_test"]]
        return self._replace(body={**body, "input_series": [*body["input_series"], *states], "promql_expr_test": asked})


@cache
def alert_tests() -> tuple[AlertTest, ...]:
    """Read all tests; each is of the one alert that its expressions name."""
    found = []
    for path in FILES:
        document = yaml.safe_load(path.read_text())
        for body in document["tests"]:
            [alert] = {name for asked in body["promql_expr_test"] for name in _FIRING.findall(asked["expr"])}
            found.append(AlertTest(alert, document["evaluation_interval"], body))
    return tuple(found)


@cache
def rules_of(name: str) -> Sequence[Rule]:
    """Return the rules of one file of the catalogue, with the default limits."""
    [group] = alert_rules.groups([name])
    return tuple(group["rules"])


def label(rule: Rule) -> str:
    """Name a rule; an alert has one for each of its severities."""
    return f"{rule['alert']}-{rule['labels']['severity']}" if "alert" in rule else str(rule["record"])


def reads(rule: Rule, recorded: Rule) -> bool:
    """Tell whether an alert is made of what the other rule records."""
    return "alert" in rule and recorded.get("record") in {selector.name for selector in selectors(rule["expr"])}


def with_recorded(alerts: Sequence[Rule], among: Sequence[Rule]) -> list[Rule]:
    """Return the alerts after what is recorded for them: the rest need not be evaluated."""
    return [*(rule for rule in among if any(reads(alert, rule) for alert in alerts)), *alerts]


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return what `datatier-exporter rules` prints."""
    assert main(["rules", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def alerts(text: str, name: str) -> list[Rule]:
    """Return the rules of an alert, one for each severity."""
    found = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    return [rule for rule in found if rule.get("alert") == name]


CATALOGUES = {name: alert_rules.catalogue(name) for name in alert_rules.names()}
ALERTS = {alert: name for name, catalogue in CATALOGUES.items() for alert in catalogue.alerts}
RULES = [rule for name in CATALOGUES for rule in rules_of(name)]
ALERT_RULES = [rule for rule in RULES if "alert" in rule]
