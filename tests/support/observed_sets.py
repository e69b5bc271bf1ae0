"""Sets of backups as they were observed at one moment, with a good backup each day."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from exporter.config.backup_policy import BackupPolicy
from exporter.datastores.backup_sets.backup import Backup, Problem, Rejection, SetFacts
from exporter.datastores.backup_sets.observed import ObservedSet

HOUR, DAY = 3600.0, 86400.0
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()


def policy(**keys: Any) -> BackupPolicy:
    return BackupPolicy.model_validate({"every": "1d", **keys})


def backup(age: float = 10 * HOUR, size: float = 1000.0, name: str | None = None, **changes: Any) -> Backup:
    """Make a good backup that is so many seconds old."""
    return Backup(name or f"dump_{age / HOUR:.0f}h", NOW - age, size, **changes)


def bad(age: float, reason: Rejection = "truncated", detail: str = "at 5 of 9 bytes", **changes: Any) -> Backup:
    return backup(age, problem=Problem(reason, detail), **changes)


def daily(count: int = 3, size: float = 1000.0) -> list[Backup]:
    """Make good backups, one a day, the newest 10 hours old."""
    return [backup(10 * HOUR + number * DAY, size) for number in range(count)]


def observed(backups: Sequence[Backup] = (), kind: str = "auto", now: float = NOW, **facts: Any) -> ObservedSet:
    """Observe backups now; `policy` and facts may be given, too."""
    wanted = facts.pop("policy", policy())
    return ObservedSet(
        "apex-daily", "orders", kind, wanted, SetFacts(**{"observed_at": NOW, **facts}, backups=backups), now
    )
