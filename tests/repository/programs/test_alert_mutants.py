"""The tests of the alerts are good: they pass on the rules as they are, and no rule can be changed unnoticed."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter import alert_rules
from tests.support.alert_tests import FILES, AlertTest, Rule, alert_tests, label, reads, rules_of, with_recorded
from tests.support.mutants import Mutant, mutants
from tests.support.promtool import Trial, run_tests, verdicts

UNCHANGED = "fails although unchanged"


class Group(NamedTuple):
    """Versions of the same rules, by number, and the tests that all of them face."""

    versions: dict[int, list[Rule]]
    tests: list[AlertTest]

    def side_by_side(self) -> Trial:
        """Put the number of each version into the names of its rules, and ask of each what the next test asks."""
        [test, *_] = self.tests
        given = {entry["series"].partition("{")[0] for entry in test.body["input_series"]}
        all_rules: list[Rule] = []
        asked: list[Rule] = []
        for number, version in self.versions.items():
            names = {rule.get("alert") or rule["record"] for rule in version} - given
            all_rules += [renamed(rule, names, number) for rule in version]
            asked += [renamed(one, names, number) for one in test.body["promql_expr_test"]]
        return Trial(all_rules, test._replace(body={**test.body, "promql_expr_test": asked}))

    def after(self, said: str) -> "Group":
        """Leave out the versions that failed; the others face the same test again when one could not be evaluated."""
        failed = {int(number) for number in re.findall(r"\w__(\d+)\b", said)}
        assert "parse error" not in said, said
        assert failed or not said, said
        alive = {number: version for number, version in self.versions.items() if number not in failed}
        return Group(alive, self.tests if " err: " in said else self.tests[1:])


def renamed(entry: Rule, names: set[str], number: int) -> Rule:
    """Put a number behind these names, wherever an entry has them."""
    name = re.compile(rf"\b({'|'.join(names)})\b")
    return entry | {key: name.sub(rf"\1__{number}", entry[key]) for key in ("alert", "record", "expr") if key in entry}


def groups(all_rules: Sequence[Rule], made: Sequence[Mutant]) -> Iterator[Group]:
    """Put each changed rule among those that its tests need; the tests that take least come first."""
    for original in all_rules:
        alerts = {rule.get("alert") for rule in all_rules if rule is original or reads(rule, original)} - {None}
        needed = with_recorded([rule for rule in all_rules if rule.get("alert") in alerts], all_rules)
        tests = sorted((test for test in alert_tests() if test.alert in alerts), key=lambda test: test.evaluations)
        resting = [test.with_maintenance(value) for test in tests for value in (0, 1)]
        told = any(test.tells_of_maintenance for test in tests)
        for clause in (False, True):
            versions = {
                number: [mutant.rule if rule is original else rule for rule in needed]
                for number, mutant in enumerate(made)
                if mutant.original is original and mutant.clause == clause
            }
            if versions:
                yield Group(versions, resting if clause and not told else tests)


def without_texts(rule: Rule) -> Rule:
    """Leave out what no mutation changes and what takes time to fill in."""
    return {key: value for key, value in rule.items() if key != "annotations"}


def survivors(promtool: Path, tried: Iterable[Group]) -> set[int]:
    """Let all face their first test, those that survive their next one, and so on."""
    alive: set[int] = set()
    facing = list(tried)
    while facing:
        alive.update(*(group.versions for group in facing if not group.tests))
        facing = [group for group in facing if group.tests and group.versions]
        said = verdicts(promtool, [group.side_by_side() for group in facing])
        facing = [group.after(text) for group, text in zip(facing, said, strict=True)]
    return alive


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_committed_tests_pass_on_the_committed_rules(path: Path, promtool: Path) -> None:
    """As anybody runs them: promtool test rules alerts/tests/*.yaml."""
    [said] = run_tests(promtool, [path])

    assert not said, said


@pytest.mark.parametrize("name", alert_rules.names())
def test_every_mutant_is_killed(name: str, promtool: Path, record_property: Callable[[str, object], None]) -> None:
    """A comparison flipped, a number moved, a rule made impossible, its `for` removed: a test fails each time."""
    all_rules = [without_texts(rule) for rule in rules_of(name)]
    made = [mutant for rule in all_rules for mutant in (Mutant(rule, UNCHANGED, rule), *mutants(rule))]
    alive = survivors(promtool, groups(all_rules, made))
    changed = [number for number, mutant in enumerate(made) if mutant.what != UNCHANGED]
    survived = [describe(made[number]) for number in changed if number in alive]
    failing = [describe(made[number]) for number in set(range(len(made))) - alive - set(changed)]
    record_property("score", f"{name}: {len(changed) - len(survived)} of {len(changed)} mutants killed")

    assert not survived, "\n".join(survived)
    assert not failing, "\n".join(failing)


def describe(mutant: Mutant) -> str:
    return f"{label(mutant.original)}: {mutant.what}"
