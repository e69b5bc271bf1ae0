"""The tests of the alerts are good: they pass on the rules as they are, and no rule can be changed unnoticed."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter import rules
from tests.alert_tests import CLAUSE, FILES, Rule, alert_tests, label, reads, rules_of, with_recorded
from tests.conftest import SCORE
from tests.promtool import Trial, run_tests, verdicts

OPPOSITE = {">": "<", "<": ">", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
COUNTED = 20  # whole numbers up to this one are moved by 1, other numbers by a tenth
SKIPPED = re.compile(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"|vector\(1\)')
COMPARISON = re.compile(r"[<>=!]=|[<>]")
NUMBER = re.compile(r"(?<![\w:.])\d+(?:\.\d+)?(?:e\d+)?(?![\w:])")


class Mutant(NamedTuple):
    what: str
    rule: Rule
    clause: bool = False  # the change is in what the renderer adds: silence in a maintenance


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Change one thing of a rule at a time."""
    expr = str(rule["expr"])
    own = len(expr.removesuffix(CLAUSE))
    yield Mutant("made impossible", {**rule, "expr": f"({expr}) and on () vector(0) > 1"})
    for key in ("for", "keep_firing_for"):
        if key in rule:
            yield Mutant(f"{key} removed", {name: value for name, value in rule.items() if name != key})
    for start, end, becomes in changes(expr):
        changed = expr[:start] + becomes + expr[end:]
        yield Mutant(f"{expr[start:end]} became {becomes} at {start}", {**rule, "expr": changed}, clause=start >= own)


def changes(expr: str) -> Iterator[tuple[int, int, str]]:
    """Name every comparison with its opposite, and every number with a lower and a higher one."""
    bare = SKIPPED.sub(lambda found: " " * len(found[0]), expr)
    for found in COMPARISON.finditer(bare):
        yield found.start(), found.end(), OPPOSITE[found[0]]
    for found in NUMBER.finditer(bare):
        value = float(found[0])
        by = 1 if value.is_integer() and value <= COUNTED else value / 10
        for moved in (value - by, value + by):
            yield found.start(), found.end(), f"({moved:.15g})" if moved < 0 else f"{moved:.15g}"


def trials(all_rules: Sequence[Rule], changed: Mutant, original: Rule) -> list[Trial]:
    """Put the changed rule among those that its tests need; the tests that take least come first."""
    alerts = {rule.get("alert") for rule in all_rules if rule is original or reads(rule, original)} - {None}
    needed = with_recorded([rule for rule in all_rules if rule.get("alert") in alerts], all_rules)
    tests = sorted((test for test in alert_tests() if test.alert in alerts), key=lambda test: test.evaluations)
    if changed.clause and not any(test.tells_of_maintenance for test in tests):
        tests = [test.with_maintenance(value) for test in tests for value in (0, 1)]
    return [Trial([changed.rule if rule is original else rule for rule in needed], test) for test in tests]


def without_texts(rule: Rule) -> Rule:
    """Leave out what no mutation changes and what takes time to fill in."""
    return {key: value for key, value in rule.items() if key != "annotations"}


def survivors(promtool: Path, folder: Path, tried: list[list[Trial]]) -> list[int]:
    """Try all mutants on their first test, those that survive on their next one, and so on."""
    alive = list(range(len(tried)))
    for number in range(max(map(len, tried))):
        facing = [mutant for mutant in alive if number < len(tried[mutant])]
        said = verdicts(promtool, folder / str(number), [tried[mutant][number] for mutant in facing])
        assert not [text for text in said if "parse error" in text]
        killed = {mutant for mutant, text in zip(facing, said, strict=True) if text}
        alive = [mutant for mutant in alive if mutant not in killed]
    return alive


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_committed_tests_pass_on_the_committed_rules(path: Path, promtool: Path) -> None:
    """As anybody runs them: promtool test rules alerts/tests/*.yaml."""
    [said] = run_tests(promtool, [path])

    assert not said, said


@pytest.mark.parametrize("name", rules.names())
def test_every_mutant_is_killed(
    name: str, promtool: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A comparison flipped, a number moved, a rule made impossible, its `for` removed: a test fails each time."""
    all_rules = [without_texts(rule) for rule in rules_of(name)]
    unchanged = [(rule, Mutant("unchanged", rule)) for rule in all_rules]
    changed = [(rule, mutant) for rule in all_rules for mutant in mutants(rule)]
    tried = [trials(all_rules, mutant, rule) for rule, mutant in unchanged + changed]
    alive = survivors(promtool, tmp_path, tried)
    survived = [describe(*changed[number - len(unchanged)]) for number in alive if number >= len(unchanged)]
    failing = [describe(*one) for number, one in enumerate(unchanged) if number not in alive]
    record_property(SCORE, f"{name}: {len(changed) - len(survived)} of {len(changed)} mutants killed")

    assert not survived, "\n".join(survived)
    assert not failing, "\n".join(failing)


def describe(rule: Rule, mutant: Mutant) -> str:
    return f"{label(rule)}: {mutant.what}"
