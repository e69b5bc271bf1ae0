"""The alert rules: those of the catalogue with a configuration's limits, as Prometheus and its operator read them."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field

from exporter.config.documents import read_document
from exporter.config.stores import STORES
from exporter.config.thresholds import THRESHOLDS, Limit

Severity = Literal["warning", "critical", "none"]
_COMMON = ("core", "exporter", "slo")
_FIELDS: Mapping[Severity, Literal["warn", "fail"]] = {"warning": "warn", "critical": "fail"}
_UNLESS_IN_MAINTENANCE = "unless on (job, instance, target) datatier_target_maintenance == 1"
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


class Alert(BaseModel):
    """One entry of the catalogue; a rule for each severity that its expression, or else its limit, has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    expr: str | dict[Severity, str]  # LIMIT stands for the number of the rule's severity
    limit: str | None = None  # a name of thresholds.py
    severity: Severity = "warning"  # where neither has several
    about: Literal["target", "cluster", "exporter"] = "target"  # a target in maintenance raises no alert
    hold: str | dict[Severity, str] = Field("0s", alias="for")
    keep_firing_for: str | None = None
    store: str | None = None  # where it is not the catalogue's
    check: str | None = None  # the one of /health that sees the same; the alert stands in for the general one
    summary: str
    description: str


class Catalogue(BaseModel):
    """The alerts of one file, and what is computed for them beforehand."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    dashboard: str
    store: str | None = None
    recording: dict[str, str] = Field(default_factory=dict)
    alerts: dict[str, Alert]


def names() -> list[str]:
    """Name the catalogue's files, those for everybody first."""
    found = (path.stem for path in _folder().glob("*.yaml"))
    return sorted(found, key=lambda name: (name not in _COMMON, name))


def names_for(stores: Iterable[str]) -> list[str]:
    """Name the files that a configuration with these stores needs."""
    wanted = {*_COMMON, *(STORES[store].dashboard for store in stores)}
    return [name for name in names() if name in wanted]


def catalogue(name: str) -> Catalogue:
    """Read one file of the catalogue."""
    document = read_document(_folder() / f"{name}.yaml")
    return document.validate(Catalogue, {"name": name, **document.data})


def groups(
    wanted: Iterable[str],
    limits: Mapping[str, Limit] = THRESHOLDS,
    job: str = "datatier",
    own: Sequence[TargetLimits] = (),
) -> list[dict[str, Any]]:
    """Return a group of rules for each wanted file.

    job: the exporter's in Prometheus' configuration. own: the targets that differ from the general limits.
    """
    found = [catalogue(name) for name in wanted]
    return [{"name": f"datatier-{one.name}", "rules": list(_rules(one, limits, job, own))} for one in found]


def as_rule_file(found: list[dict[str, Any]]) -> str:
    """Render what Prometheus loads."""
    return "# Made by `datatier-exporter rules`.\n" + _yaml({"groups": found})


def as_operator(found: list[dict[str, Any]]) -> str:
    """Render what the Prometheus operator loads."""
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule"}
    return _yaml({**head, "metadata": {"name": "datatier-exporter"}, "spec": {"groups": found}})


def _folder() -> Path:
    """Return the catalogue inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "_data" / "alerts"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "alerts" / "catalogue"


def _rules(
    one: Catalogue, limits: Mapping[str, Limit], job: str, own: Sequence[TargetLimits]
) -> Iterator[dict[str, Any]]:
    for name, expr in one.recording.items():
        yield {"record": name, "expr": expr.strip()}
    for name, alert in one.alerts.items():
        store = alert.store or one.store
        meant = [target for target in own if alert.about == "target" and store in (None, target.store)]
        for severity in _severities(alert):
            cases = _cases(alert, severity, limits, meant)
            if cases:
                yield _rule(one, name, _Words(alert, severity, cases, job), meant)


def _severities(alert: Alert) -> list[Severity]:
    """Name what the alert may be."""
    if alert.limit is not None:
        return list(_FIELDS)
    return list(alert.expr) if isinstance(alert.expr, dict) else [alert.severity]


def _cases(
    alert: Alert, severity: Severity, limits: Mapping[str, Limit], own: Sequence[TargetLimits]
) -> Sequence[Case]:
    """Return the limits that the rule has; none at all where nothing of this severity is to be raised."""
    if alert.limit is None:
        return [Case("", None)]
    return cases_of(alert.limit, _FIELDS[severity], limits[alert.limit], own)


class _Words:
    """Fill what stands for something else into an alert's texts."""

    def __init__(self, alert: Alert, severity: Severity, cases: Sequence[Case], job: str) -> None:
        self.alert = alert
        self.severity = severity
        self.cases = cases
        self._job = job

    def for_case(self, text: str | Mapping[Severity, str]) -> Callable[[Case], str]:
        """Return what says the text with the limit of a case."""
        chosen = text if isinstance(text, str) else text[self.severity]

        def fill(case: Case) -> str:
            known = {"JOB": self._job, "LIMIT": case.limit}
            return re.sub(r"\b(JOB|LIMIT)\b", lambda found: known[found[0]], chosen.strip())

        return fill

    def annotation(self, text: str) -> str:
        return annotation(self.cases, self.for_case(text))


def _rule(one: Catalogue, name: str, words: _Words, own: Sequence[TargetLimits]) -> dict[str, Any]:
    alert = words.alert
    hold = alert.hold if isinstance(alert.hold, str) else alert.hold[words.severity]
    rule = {"alert": name, "expr": _expression(words, own)}
    rule |= {} if hold == "0s" else {"for": hold}
    rule |= {"keep_firing_for": alert.keep_firing_for} if alert.keep_firing_for else {}
    store = alert.store or one.store
    labels = {"severity": words.severity, "component": "data-tier", "store": store, "check": alert.check}
    annotations = {
        "summary": words.annotation(alert.summary),
        "description": words.annotation(alert.description),
        "dashboard": one.dashboard,
        "runbook_url": f"docs/runbooks/{name}.md",
    }
    return {**rule, "labels": {key: value for key, value in labels.items() if value}, "annotations": annotations}


def _expression(words: _Words, own: Sequence[TargetLimits]) -> str:
    """Return the expression: with targets' own limits, and without those whose check is off or in maintenance."""
    alert = words.alert
    if alert.about != "target":
        return words.for_case(alert.expr)(words.cases[0])
    apart = [target.target for target in own if alert.limit in target.limits]
    expr = grouped(expression(words.cases, words.for_case(alert.expr), apart))
    expr = without(expr, [target.target for target in own if alert.check in target.off])
    return f"{expr}\n{_UNLESS_IN_MAINTENANCE}"


class _Dumper(yaml.SafeDumper):
    """Write texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _yaml(data: object) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2000)


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
