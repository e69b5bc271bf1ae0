"""The limits of one alert rule: the general one, and those of targets that have their own."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from exporter.thresholds import Limit

_OR = re.compile(r"\bor\b")
_SERVER = "on (job, instance, target)"


class TargetLimits(NamedTuple):
    """What the configuration says of one target: limits of its own, and checks that are off."""

    target: str
    store: str
    limits: Mapping[str, Limit]
    off: frozenset[str]


class Case(NamedTuple):
    """One limit and the targets that it is for; targets None: all that have none of their own."""

    limit: str
    targets: tuple[str, ...] | None


def cases_of(name: str, field: Literal["warn", "fail"], general: Limit, own: Sequence[TargetLimits]) -> list[Case]:
    """Return the general case first, then one for each limit of single targets; a limit of None raises nothing."""
    special: dict[str, list[str]] = {}
    for one in own:
        if name in one.limits and (value := _number(one.limits[name], field)) is not None:
            special.setdefault(value, []).append(one.target)
    usual = _number(general, field)
    everybody = [] if usual is None else [Case(usual, None)]
    return everybody + [Case(value, tuple(targets)) for value, targets in special.items()]


def expression(cases: Sequence[Case], text: Callable[[Case], str], apart: Sequence[str]) -> str:
    """Join the cases' expressions; `apart` names the targets for which the general one does not hold."""
    if not apart:
        return text(cases[0])
    return "\nor\n".join(_selected(grouped(text(case)), case, apart) for case in cases)


def annotation(cases: Sequence[Case], text: Callable[[Case], str]) -> str:
    """Return a template that says each target's own limit."""
    texts = [(case, text(case)) for case in cases]
    last = texts[0][1]
    if all(said == last for _, said in texts):
        return last
    chosen = [
        f'{{{{ if match "^(?:{_pattern(case.targets or ())})$" $labels.target }}}}{said}' for case, said in texts[1:]
    ]
    return "{{ else }}".join([*chosen, last]) + "{{ end }}" * len(chosen)


def without(expr: str, targets: Iterable[str]) -> str:
    """Leave targets out of an expression."""
    pattern = _pattern(targets)
    return f'{expr}\nunless {_SERVER} datatier_up{{target=~"{pattern}"}}' if pattern else expr


def grouped(expr: str) -> str:
    """Put an expression into parentheses where it would otherwise fall apart."""
    return f"({expr})" if _OR.search(expr) else expr


def _selected(expr: str, case: Case, apart: Sequence[str]) -> str:
    if case.targets is None:
        return without(expr, apart)
    return f'{expr}\nand {_SERVER} datatier_up{{target=~"{_pattern(case.targets)}"}}'


def _pattern(targets: Iterable[str]) -> str:
    return "|".join(target.replace(".", "[.]") for target in targets)  # a dot is all that names have of patterns


def _number(limit: Limit, field: Literal["warn", "fail"]) -> str | None:
    value: float | None = getattr(limit, field)
    return None if value is None else f"{value:.15g}"
