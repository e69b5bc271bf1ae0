"""The body of /health: the snapshot's targets, judged, as JSON for programs and as lines for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from exporter import __version__
from exporter.health.reasons import iso
from exporter.health.rendered import RenderedHealth
from exporter.health.target_health import TargetHealth, target_health
from exporter.queries.health_rule import STATUSES, Status
from exporter.state.events import Instant
from exporter.state.local_fault import MEANINGS
from exporter.state.snapshot import Snapshot

_UNCERTAIN = "what is down from here may be well"


class HealthReport:
    """Report on some targets at one moment; `status` decides the HTTP status, `failing` names the targets that fail."""

    def __init__(
        self, snapshot: Snapshot, parts: Sequence[RenderedHealth], now: Instant, notes: Iterable[str] = ()
    ) -> None:
        self._parts = parts
        self._now = now
        self._notes = [*notes, *exporter_faults(snapshot, now)]
        counted = [part.health.counted for part in parts]
        self.status: Status = max(counted, key=STATUSES.index, default="pass")
        self.failing = [part.health.name for part in parts if part.health.counted == "fail"]

    def json(self) -> str:
        """Return the body: a line for each target and check."""
        fields = "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in self._summary().items())
        targets = ",\n".join([part.target(self._now) for part in self._parts])
        checks = ",\n".join([part.checks for part in self._parts])
        return f'{{\n{fields} "targets": {{\n{targets}\n }},\n "checks": {{\n{checks}\n }}\n}}\n'

    def body(self) -> dict[str, Any]:
        """Return the body as any client reads it."""
        body: dict[str, Any] = json.loads(self.json())
        return body

    def verbose(self, check: str) -> str:
        """Return a line for each target, under the name of the check that was requested."""
        lines = [target_line(part.health) for part in self._parts]
        return verbose(check, lines, self._notes, failed=self.status == "fail")

    def _summary(self) -> dict[str, Any]:
        noted = (part.health.note for part in self._parts)
        return {
            "status": self.status,
            "serviceId": "datatier-exporter",
            "version": "1",
            "releaseId": __version__,
            "time": iso(self._now.wall),
            "notes": [*self._notes, *(note for note in noted if note)],
        }


def report(snapshot: Snapshot, now: Instant, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the body for all targets, or for those named."""
    names = snapshot.targets if names is None else names
    parts = [RenderedHealth.of(target_health(snapshot, name, now)) for name in names]
    return HealthReport(snapshot, parts, now).body()


def exporter_faults(snapshot: Snapshot, now: Instant) -> list[str]:
    """Return the faults of the exporter itself that make what it reports of its targets uncertain."""
    known = snapshot.status.values()
    if known and all(now.monotonic >= status.fresh_until for status in known):
        return [f"the exporter has stopped polling: {_UNCERTAIN}"]
    proven = {status.fault for status in known if snapshot.all_unreachable_locally or status.fault == "resources"}
    return [f"{meaning}: {_UNCERTAIN}" for fault, meaning in MEANINGS.items() if fault in proven]


class Line(NamedTuple):
    """One line of a response to ?verbose: what it is about, how that is, and whether it fails the response."""

    name: str
    words: str
    failed: bool


def target_line(health: TargetHealth) -> Line:
    """Describe a target in one line; in maintenance it fails nothing."""
    reasons = ", ".join(map(_words, health.condition["reasons"]))
    failed = health.counted == "fail"
    words = "failed" if failed else f"{health.state}{health.remark}"
    return Line(health.name, f"{words}: {reasons}" if reasons else words, failed)


def _words(reason: Mapping[str, Any]) -> str:
    words: str = reason.get("check", reason.get("was", reason["code"]))
    before = "was " if reason["code"] == "held" else "last poll " if reason.get("pending") else ""
    return before + words


def verbose(check: str, lines: Iterable[Line], notes: Iterable[str], *, failed: bool) -> str:
    """Return lines in the form of Kubernetes' API server."""
    listed = [f"[{'-' if line.failed else '+'}]{line.name} {line.words}" for line in lines]
    outcome = f"{check} check {'failed' if failed else 'passed'}"
    return "\n".join([*listed, *(f"note: {note}" for note in notes), outcome])
