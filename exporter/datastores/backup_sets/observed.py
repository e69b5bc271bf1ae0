"""A set of backups with all that its judgement depends on."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from exporter.config.backup_policy import BackupPolicy
from exporter.datastores.backup_sets.backup import SetFacts


@dataclass(frozen=True, slots=True)
class ObservedSet:
    """A set and its facts.

    check: its name. of: the target whose backups they are. now: as Unix time; the facts may be a little older.
    zone: whose days, weeks and months count for what is kept; None for the exporter's own.
    """

    check: str
    of: str
    format: str
    policy: BackupPolicy
    facts: SetFacts
    now: float
    zone: ZoneInfo | None = None
