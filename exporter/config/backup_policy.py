"""What a user expects of backups: how often they are made, how long they are kept, what each must be like."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from exporter.config.backup_files import File, FileGlob
from exporter.config.names import valid_name
from exporter.config.secret_files import StrictModel
from exporter.units import Bytes, Duration, parse_duration

Format = Literal[
    "auto", "pg_dump", "sql", "basebackup", "pgbackrest", "wal-g", "barman", "wal", "neo4j", "qdrant", "report"
]
Tier = Literal["daily", "weekly", "monthly", "yearly"]
_DAY_SECONDS = 86400.0
TIERS: Mapping[Tier, float] = MappingProxyType(
    {"daily": _DAY_SECONDS, "weekly": 7 * _DAY_SECONDS, "monthly": 31 * _DAY_SECONDS, "yearly": 366 * _DAY_SECONDS}
)  # with the longest a period can be, in seconds

_HOUR = 3600.0
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_REACH = "a duration"  # in place of keys: no user's key
_CENTURY = {"daily": 36525, "weekly": 5218, "monthly": 1200, "yearly": 100}
_Text = Annotated[str, StringConstraints(min_length=1)]


def _whole(value: object) -> object:
    """Reject a truth value: YAML reads `daily: on` as true, which is no 1."""
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic's errors are ValueErrors
    return value


_Count = Annotated[int, BeforeValidator(_whole), Field(ge=1)]


def _day(value: object) -> object:
    """Reject what pydantic would take for a date, such as a number of seconds."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        return value
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise ValueError(f"{str(value)[:100]!r} is not a day such as 2026-01-31")


class Keep(StrictModel):
    """How far back backups must reach: so many seconds, or one in each of so many days, weeks, months, years."""

    reach: float | None = Field(default=None, validation_alias=_REACH)
    daily: _Count | None = None
    weekly: _Count | None = None
    monthly: _Count | None = None
    yearly: _Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _duration_alone(cls, value: Any) -> Any:
        if isinstance(value, Keep) or (isinstance(value, dict) and value and _REACH not in value):
            return value
        if isinstance(value, dict | list):
            raise ValueError("expected a duration such as 30d, or numbers as in {daily: 7, weekly: 4}")  # noqa: TRY004 - as above
        return {_REACH: parse_duration(value)}

    @field_validator(*TIERS)
    @classmethod
    def _within_a_century(cls, value: int | None, info: Any) -> int | None:
        if value is not None and value > _CENTURY[info.field_name]:
            raise ValueError(f"expected {_CENTURY[info.field_name]} at most: a century")
        return value

    @property
    def tiers(self) -> dict[Tier, int]:
        """Return how many periods of each tier must have a backup."""
        return {tier: count for tier in TIERS if (count := getattr(self, tier)) is not None}

    @property
    def oldest_seconds(self) -> float:
        """Return how old the oldest backup becomes that is kept."""
        return max([*(count * TIERS[tier] for tier, count in self.tiers.items()), self.reach or 0.0])


class Size(StrictModel):
    """Bounds of one backup; `shrink`: the share of the median below which the newest one is suspicious."""

    min: Bytes | None = None
    max: Bytes | None = None
    shrink: Annotated[float, BeforeValidator(_whole), Field(gt=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:.0f} must not be above max {self.max:.0f}")
        return self


class BackupPolicy(StrictModel):
    """What is expected of the backups of one set.

    every: seconds between two backups. grace: how much longer it may take before that is a warning.
    since: no period before this day is expected to have a backup; without it none before the oldest one.
    duration: seconds that making one, or the job of a report, may take.
    """

    every: Duration
    grace: Duration | None = None
    keep: Keep | None = None
    since: Annotated[date | None, BeforeValidator(_day)] = None
    size: Size = Size()
    duration: Duration | None = None

    @property
    def grace_seconds(self) -> float:
        """Return the grace; without one of the user's, a tenth of `every`: at least 2 h, below an hour 1 min."""
        if self.grace is not None:
            return self.grace
        return 60.0 if self.every < _HOUR else max(self.every / 10, 2 * _HOUR)

    @property
    def warn_seconds(self) -> float:
        """Return the age above which the newest good backup is too old."""
        return self.every + self.grace_seconds

    @property
    def fail_seconds(self) -> float:
        """Return the age above which one backup more is missing."""
        return 2 * self.every + self.grace_seconds


class BackupSet(BackupPolicy):
    """What must lie in a place.

    of: the target whose backups they are. files: a glob below the place, or a folder with a slash at its end.
    encrypted: whether each must be. copy_of: PLACE/SET or TARGET/BUCKET, of which this is a copy.
    base: the set of base backups that an archive of WAL belongs to. marker: a file that shows that the files are there,
    as in a mounted folder.
    """

    name: str
    of: _Text
    files: FileGlob
    format: Format = "auto"
    encrypted: bool = False
    copy_of: _Text | None = None
    base: _Text | None = None
    marker: File | None = None

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        return valid_name(value)
