"""The alert rules: the catalogue's, with the limits of a configuration, as Prometheus and its operator load them."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field

from exporter.config.documents import read_document
from exporter.config.stores import STORES
from exporter.config.thresholds import THRESHOLDS, Limit

Severity = Literal["warning", "critical", "none"]
_COMMON = ("core", "exporter", "slo", "backups")
_FIELDS: Mapping[Severity, Literal["warn", "fail"]] = {"warning": "warn", "critical": "fail"}
_ON_TARGET = "on (job, instance, target)"
_PLACEHOLDER = re.compile(r"\b(JOB|LIMIT)\b")
_OR = re.compile(r"\bor\b")


class TargetLimits(NamedTuple):
    """What is configured for one target: limits of its own, and checks that are off."""

    target: str
    store: str
    limits: Mapping[str, Limit]
    off: frozenset[str]


class Case(NamedTuple):
    """One limit, and the targets that it is for; None stands for all targets without a limit of their own."""

    limit: str
    targets: tuple[str, ...] | None


class Alert(BaseModel):
    """One entry of the catalogue: it makes a rule for each severity that its limit, or else its expression, has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    expr: str | dict[Severity, str]  # LIMIT stands for the number of the rule's severity
    limit: str | None = None  # a name of thresholds.py
    severity: Severity = "warning"  # where neither has several
    about: Literal["target", "cluster", "exporter"] = "target"  # a target in maintenance raises no alert
    hold: str | dict[Severity, str] = Field("0s", alias="for")
    keep_firing_for: str | None = None
    store: str | None = None  # where it is not the file's
    check: str | None = None  # the check of /health that sees the same; its general alert leaves it out
    per_check: bool = False  # its series name the check themselves, in the label `check`: they are sets of backups
    summary: str
    description: str


class Catalogue(BaseModel):
    """One file of the catalogue: its alerts, and the recording rules that they use."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    dashboard: str
    store: str | None = None
    recording: dict[str, str] = Field(default_factory=dict)
    alerts: dict[str, Alert]


def names() -> list[str]:
    """Name the catalogue's files, first those that every configuration needs."""
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

    job: the exporter's name in Prometheus' configuration. own: the targets that differ from the general limits.
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
    """Return the catalogue's folder: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "_data" / "alerts"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "alerts" / "catalogue"


def _rules(
    file: Catalogue, limits: Mapping[str, Limit], job: str, own: Sequence[TargetLimits]
) -> Iterator[dict[str, Any]]:
    for name, expr in file.recording.items():
        yield {"record": name, "expr": expr.strip()}
    for name, alert in file.alerts.items():
        store = alert.store or file.store
        concerned = [target for target in own if alert.about == "target" and store in (None, target.store)]
        for severity in _severities(alert):
            cases = _cases(alert, severity, limits, concerned)
            if cases:
                yield _AlertRule(name, alert, severity, cases, concerned, job).as_mapping(file)


def _severities(alert: Alert) -> list[Severity]:
    if alert.limit is not None:
        return list(_FIELDS)
    return list(alert.expr) if isinstance(alert.expr, dict) else [alert.severity]


def _cases(
    alert: Alert, severity: Severity, limits: Mapping[str, Limit], own: Sequence[TargetLimits]
) -> Sequence[Case]:
    """Return the general case first, then one for each limit of single targets; a limit of None raises nothing."""
    if alert.limit is None:
        return [Case("", None)]
    field = _FIELDS[severity]
    special: dict[str, list[str]] = {}
    for target in own:
        if alert.limit in target.limits and (value := _number(target.limits[alert.limit], field)) is not None:
            special.setdefault(value, []).append(target.target)
    usual = _number(limits[alert.limit], field)
    general = [] if usual is None else [Case(usual, None)]
    return general + [Case(value, tuple(targets)) for value, targets in special.items()]


def _number(limit: Limit, field: Literal["warn", "fail"]) -> str | None:
    value: float | None = getattr(limit, field)
    return None if value is None else f"{value:.15g}"


class _AlertRule(NamedTuple):
    """An alert at one severity; `own` are the targets it concerns that differ from the general limits."""

    name: str
    alert: Alert
    severity: Severity
    cases: Sequence[Case]
    own: Sequence[TargetLimits]
    job: str

    def as_mapping(self, file: Catalogue) -> dict[str, Any]:
        alert = self.alert
        hold = self._chosen(alert.hold)
        rule = {"alert": self.name, "expr": self._expression()}
        rule |= {} if hold == "0s" else {"for": hold}
        rule |= {"keep_firing_for": alert.keep_firing_for} if alert.keep_firing_for else {}
        store = alert.store or file.store
        labels = {"severity": self.severity, "component": "data-tier", "store": store, "check": alert.check}
        annotations = {
            "summary": self._annotation(alert.summary),
            "description": self._annotation(alert.description),
            "dashboard": file.dashboard,
            "runbook_url": f"docs/runbooks/{self.name}.md",
        }
        return {**rule, "labels": {key: value for key, value in labels.items() if value}, "annotations": annotations}

    def _expression(self) -> str:
        """Return the expression with targets' own limits, without targets in maintenance or whose check is off."""
        expr = self._chosen(self.alert.expr)
        if self.alert.about != "target":
            return self._filled(expr, self.cases[0])
        apart = [target.target for target in self.own if self.alert.limit in target.limits]
        if apart:
            joined = "\nor\n".join(_selected(_grouped(self._filled(expr, case)), case, apart) for case in self.cases)
        else:
            joined = self._filled(expr, self.cases[0])
        off = [target.target for target in self.own if self.alert.check in target.off]
        expr = _without(_grouped(joined), off)
        if self.alert.per_check:
            expr = _without_sets(expr, [(one.target, check) for one in self.own for check in sorted(one.off)])
        return f"{expr}\nunless {_ON_TARGET} datatier_target_maintenance == 1"

    def _annotation(self, template: str) -> str:
        """Return a text with the limit, or a template of Prometheus with each target's own limit."""
        general, *others = [(case, self._filled(template, case)) for case in self.cases]
        if all(text == general[1] for _, text in others):
            return general[1]
        chosen = [
            f'{{{{ if match "^(?:{_pattern(case.targets or ())})$" $labels.target }}}}{text}' for case, text in others
        ]
        return "{{ else }}".join([*chosen, general[1]]) + "{{ end }}" * len(chosen)

    def _chosen(self, text: str | Mapping[Severity, str]) -> str:
        return text if isinstance(text, str) else text[self.severity]

    def _filled(self, template: str, case: Case) -> str:
        values = {"JOB": self.job, "LIMIT": case.limit}
        return _PLACEHOLDER.sub(lambda found: values[found[0]], template.strip())


def _selected(expr: str, case: Case, apart: Sequence[str]) -> str:
    """Restrict an expression to the targets of its case."""
    if case.targets is None:
        return _without(expr, apart)
    return f'{expr}\nand {_ON_TARGET} datatier_up{{target=~"{_pattern(case.targets)}"}}'


def _without(expr: str, targets: Sequence[str]) -> str:
    return f'{expr}\nunless {_ON_TARGET} datatier_up{{target=~"{_pattern(targets)}"}}' if targets else expr


def _without_sets(expr: str, sets: Sequence[tuple[str, str]]) -> str:
    """Leave out sets of backups whose checks are off, by target and check."""
    series = [
        f"datatier_backup_expected{{target={json.dumps(target)},check={json.dumps(check)}}}" for target, check in sets
    ]
    return f"{expr}\nunless on (job, instance, target, check) ({' or '.join(series)})" if series else expr


def _pattern(targets: Iterable[str]) -> str:
    return "|".join(target.replace(".", "[.]") for target in targets)  # a dot is all that names have of patterns


def _grouped(expr: str) -> str:
    """Put an expression into parentheses where the operator that follows would bind tighter than its `or`."""
    return f"({expr})" if _OR.search(expr) else expr


class _Dumper(yaml.SafeDumper):
    """Write texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _yaml(data: object) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2000)
