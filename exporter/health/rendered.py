"""The health of each target as text, rendered once per change: /health joins what is ready."""

import json
from collections.abc import Iterable
from typing import NamedTuple, Self

from exporter.health.target_health import TargetHealth, target_health
from exporter.state.events import Instant
from exporter.state.snapshot import Snapshot


class RenderedHealth(NamedTuple):
    """One target's lines of the body, ready but for the age of its data, which belongs between `before` and `after`."""

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


class RenderedHealthCache:
    """Keep the text of each target until something of the target changes or expires."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._kept: dict[str, tuple[int, float, RenderedHealth]] = {}

    def of(self, names: Iterable[str], now: Instant) -> list[RenderedHealth]:
        return [self.refresh(name, now) for name in names]

    def forget(self, target: str) -> None:
        """Drop a target that is no longer monitored."""
        self._kept.pop(target, None)

    def refresh(self, name: str, now: Instant) -> RenderedHealth:
        """Return a target's text, rendered anew where anything changed; called after each poll, to spare the probes."""
        version = self._snapshot.changed[name]
        kept = self._kept.get(name)
        if kept is None or kept[0] != version or now.monotonic >= kept[1]:
            rendered = RenderedHealth.of(target_health(self._snapshot, name, now))
            kept = self._kept[name] = version, self._snapshot.next_expiry(now.monotonic, name), rendered
        return kept[2]
