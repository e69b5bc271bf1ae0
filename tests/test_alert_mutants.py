"""The tests of the alerts are good: no rule can be changed so that it matters, and its tests still pass."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter import rules
from tests.promtool import Rule, Trial, alert_tests, rules_of, verdicts
from tests.test_alerts import CLAUSE, in_maintenance, label
from tests.vocabulary import selectors

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


def trials(all_rules: list[Rule], changed: Mutant, original: Rule) -> list[Trial]:
    """Put the changed rule among those that its tests need; the tests that take least come first."""
    alerts = {rule.get("alert") for rule in all_rules if rule is original or reads(rule, original)} - {None}
    kept = [rule for rule in all_rules if "record" in rule or rule["alert"] in alerts]
    tests = sorted((test for test in alert_tests() if test.alert in alerts), key=lambda test: test.lasts)
    bodies = [(test.every, test.body) for test in tests]
    if changed.clause and not any("datatier_target_maintenance" in str(body) for _, body in bodies):
        bodies = [(every, in_maintenance(body, on, silent=on == 1)) for every, body in bodies for on in (0, 1)]
    changed_rules = [changed.rule if rule is original else rule for rule in kept]
    return [Trial(changed_rules, [body], every) for every, body in bodies]


def reads(rule: Rule, recorded: Rule) -> bool:
    return "alert" in rule and recorded.get("record") in {selector.name for selector in selectors(rule["expr"])}


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


@pytest.mark.parametrize("name", rules.names())
def test_every_mutant_is_killed(name: str, promtool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A comparison flipped, a number moved, a rule made impossible, its `for` removed: a test fails each time."""
    all_rules = rules_of(name)
    made = [(rule, mutant) for rule in all_rules for mutant in mutants(rule)]
    alive = survivors(promtool, tmp_path, [trials(all_rules, mutant, rule) for rule, mutant in made])
    with capsys.disabled():
        print(f"\n{name}: {len(made) - len(alive)} of {len(made)} mutants killed")  # noqa: T201 - the score

    assert [f"{label(made[number][0])}: {made[number][1].what}" for number in alive] == []
