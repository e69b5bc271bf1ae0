"""The body of /health as text: a line for each target and check, each rendered once for what it says."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from exporter.health.report import TargetHealth, summary, target_health
from exporter.state.events import Instant
from exporter.state.snapshot import Snapshot


class Part(NamedTuple):
    """One target's lines, ready but for the age of its data, which belongs between `before` and `after`."""

    health: TargetHealth
    before: str
    after: str
    checks: str

    @classmethod
    def of(cls, health: TargetHealth) -> Self:
        before = f"  {json.dumps(health.name)}: {json.dumps(health.identity)[:-1]}, "
        checks = ",\n".join(f"  {json.dumps(name)}: {json.dumps(check)}" for name, check in health.checks.items())
        return cls(health, before, json.dumps(health.condition)[1:], checks)

    def target(self, now: Instant) -> str:
        age = self.health.age(now)
        return self.before + ("" if age is None else f'"data_age_seconds": {age}, ') + self.after


class Parts:
    """Keep each target's part until its target says something new, or what it said expires."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._kept: dict[str, tuple[int, float, Part]] = {}

    def of(self, names: Iterable[str], now: Instant) -> list[Part]:
        return [self.refresh(name, now) for name in names]

    def forget(self, target: str) -> None:
        """Drop a target that is watched no more."""
        self._kept.pop(target, None)

    def refresh(self, name: str, now: Instant) -> Part:
        """Return a target's part, made anew where anything changed or expired: after a poll, so that no probe waits."""
        version = self._snapshot.changed[name]
        kept = self._kept.get(name)
        if kept is None or kept[0] != version or now.monotonic >= kept[1]:
            part = Part.of(target_health(self._snapshot, name, now))
            kept = self._kept[name] = version, self._snapshot.next_expiry(now.monotonic, name), part
        return kept[2]


def body(snapshot: Snapshot, parts: Sequence[Part], now: Instant, notes: Iterable[str] = ()) -> str:
    """Return the whole body; the same as `report` says, in text."""
    top = summary(snapshot, [part.health for part in parts], now, notes)
    fields = "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in top.items())
    targets = ",\n".join([part.target(now) for part in parts])
    checks = ",\n".join([part.checks for part in parts])
    return f'{{\n{fields} "targets": {{\n{targets}\n }},\n "checks": {{\n{checks}\n }}\n}}\n'


class Line(NamedTuple):
    """One line of an answer to ?verbose: how something is, and whether that makes the answer fail."""

    name: str
    words: str
    failed: bool


def line(health: TargetHealth) -> Line:
    """Say how a target is in one line; in maintenance it fails nothing."""
    reasons = ", ".join(map(_words, health.condition["reasons"]))
    failed = health.counted == "fail"
    words = "failed" if failed else f"{health.state}{health.remark}"
    return Line(health.name, f"{words}: {reasons}" if reasons else words, failed)


def _words(reason: Mapping[str, Any]) -> str:
    words: str = reason.get("check", reason.get("was", reason["code"]))
    before = "was " if reason["code"] == "held" else "last poll " if reason.get("pending") else ""
    return before + words


def verbose(check: str, lines: Iterable[Line], notes: Iterable[str], *, failed: bool) -> str:
    """Return lines as Kubernetes' API server gives them."""
    listed = [f"[{'-' if line.failed else '+'}]{line.name} {line.words}" for line in lines]
    outcome = f"{check} check {'failed' if failed else 'passed'}"
    return "\n".join([*listed, *(f"note: {note}" for note in notes), outcome])
