"""The alert rules: those of the catalogue with a configuration's limits, as Prometheus and its operator read them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from exporter.thresholds import THRESHOLDS, Limit
from exporter.yaml_file import read_document

Severity = Literal["warning", "critical", "none"]
_SHARED = {"pgbouncer": "postgres"}  # a store whose alerts lie with another's
_COMMON = ("core", "exporter", "slo")
_FIELDS: Mapping[Severity, str] = {"warning": "warn", "critical": "fail"}
_UNLESS_IN_MAINTENANCE = "unless on (job, instance, target) datatier_target_maintenance == 1"
_OR = re.compile(r"\bor\b")


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
    wanted = {*_COMMON, *(_SHARED.get(store, store) for store in stores)}
    return [name for name in names() if name in wanted]


def catalogue(name: str) -> Catalogue:
    """Read one file of the catalogue."""
    document = read_document(_folder() / f"{name}.yaml")
    return document.validate(Catalogue, {"name": name, **document.data})


def groups(
    wanted: Iterable[str], limits: Mapping[str, Limit] = THRESHOLDS, job: str = "datatier"
) -> list[dict[str, Any]]:
    """Return a group of rules for each wanted file; `job` is the exporter's in Prometheus' configuration."""
    found = [catalogue(name) for name in wanted]
    return [{"name": f"datatier-{one.name}", "rules": list(_rules(one, limits, job))} for one in found]


def as_rule_file(found: list[dict[str, Any]]) -> str:
    """Render what Prometheus loads."""
    return "# Made by `datatier-exporter rules`.\n" + _yaml({"groups": found})


def as_operator(found: list[dict[str, Any]]) -> str:
    """Render what the Prometheus operator loads."""
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule"}
    return _yaml({**head, "metadata": {"name": "datatier-exporter"}, "spec": {"groups": found}})


def _folder() -> Path:
    """Return the catalogue inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "catalogue"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "alerts" / "catalogue"


def _rules(one: Catalogue, limits: Mapping[str, Limit], job: str) -> Iterator[dict[str, Any]]:
    for name, expr in one.recording.items():
        yield {"record": name, "expr": expr.strip()}
    for name, alert in one.alerts.items():
        for severity in _severities(alert, limits):
            yield _rule(one, name, severity, _Words(alert, severity, limits, job))


def _severities(alert: Alert, limits: Mapping[str, Limit]) -> list[Severity]:
    """Name what the alert may be; a limit that is not set raises nothing."""
    if alert.limit is not None:
        limit = limits[alert.limit]
        return [severity for severity, field in _FIELDS.items() if getattr(limit, field) is not None]
    return list(alert.expr) if isinstance(alert.expr, dict) else [alert.severity]


class _Words:
    """Fill what stands for something else into an alert's texts."""

    def __init__(self, alert: Alert, severity: Severity, limits: Mapping[str, Limit], job: str) -> None:
        self.alert = alert
        self._severity = severity
        self._known = {"JOB": job}
        if alert.limit is not None:
            self._known["LIMIT"] = f"{getattr(limits[alert.limit], _FIELDS[severity]):.15g}"

    def __call__(self, text: str | Mapping[Severity, str]) -> str:
        chosen = text if isinstance(text, str) else text[self._severity]
        return re.sub(r"\b(JOB|LIMIT)\b", lambda found: self._known[found[0]], chosen.strip())


def _rule(one: Catalogue, name: str, severity: Severity, words: _Words) -> dict[str, Any]:
    alert = words.alert
    expr, hold = words(alert.expr), words(alert.hold)
    if alert.about == "target":
        expr = f"({expr})" if _OR.search(expr) else expr
        expr = f"{expr}\n{_UNLESS_IN_MAINTENANCE}"
    rule = {"alert": name, "expr": expr}
    rule |= {} if hold == "0s" else {"for": hold}
    rule |= {"keep_firing_for": alert.keep_firing_for} if alert.keep_firing_for else {}
    labels = {"severity": severity, "component": "data-tier", "store": alert.store or one.store, "check": alert.check}
    annotations = {
        "summary": words(alert.summary),
        "description": words(alert.description),
        "dashboard": one.dashboard,
        "runbook_url": f"docs/runbooks/{name}.md",
    }
    return {**rule, "labels": {key: value for key, value in labels.items() if value}, "annotations": annotations}


class _Dumper(yaml.SafeDumper):
    """Write texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _yaml(data: object) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2000)
