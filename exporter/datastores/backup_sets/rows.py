"""The rows that the facts of sets become; the columns are those of queries/backups/*.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from exporter.config.backup_policy import BackupPolicy
from exporter.datastores.backup_sets.backup import SetFacts
from exporter.queries.query import Row


@dataclass(frozen=True, slots=True)
class ObservedSet:
    """A set and its facts.

    check: its name. of: the target whose backups they are. now: when it is judged, as Unix time.
    zone: whose days, weeks and months count for what is kept; None for the exporter's own.
    """

    check: str
    of: str
    format: str
    policy: BackupPolicy
    facts: SetFacts
    now: float
    zone: ZoneInfo | None = None


def set_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def format_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def rejected_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def retention_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def wal_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError


def copy_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    raise NotImplementedError
