"""Change rules so that it matters."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.alert_tests import CLAUSE, Rule

OPPOSITE = {">": "<", "<": ">", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
COUNTED = 20  # whole numbers up to this one are moved by 1, other numbers by a tenth
SKIPPED = re.compile(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"|vector\(1\)')
COMPARISON = re.compile(r"[<>=!]=|[<>]")
NUMBER = re.compile(r"(?<![\w:.])\d+(?:\.\d+)?(?:e\d+)?(?![\w:])")


class Mutant(NamedTuple):
    """A rule that differs from the original in one thing."""

    original: Rule
    what: str
    rule: Rule
    clause: bool = False  # the change is in what the renderer adds: silence in a maintenance


def mutants(rule: Rule) -> Iterator[Mutant]:
    """Change one thing of a rule at a time."""
    expr = str(rule["expr"])
    own = len(expr.removesuffix(CLAUSE))
    yield Mutant(rule, "made impossible", {**rule, "expr": f"({expr}) and on () vector(0) > 1"})
    for key in ("for", "keep_firing_for"):
        if key in rule:
            yield Mutant(rule, f"{key} removed", {name: value for name, value in rule.items() if name != key})
    for start, end, becomes in changes(expr):
        changed = expr[:start] + becomes + expr[end:]
        what = f"{expr[start:end]} became {becomes} at {start}"
        yield Mutant(rule, what, {**rule, "expr": changed}, clause=start >= own)


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
