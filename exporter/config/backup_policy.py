"""What a user expects of backups: how often they are made, how long they are kept, what each must be like."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictInt, StringConstraints, field_validator, model_validator

from exporter.config.secret_files import StrictModel
from exporter.units import Bytes, Duration

Format = Literal[
    "auto", "pg_dump", "sql", "basebackup", "pgbackrest", "wal-g", "barman", "wal", "neo4j", "qdrant", "report"
]
Tier = Literal["daily", "weekly", "monthly", "yearly"]
TIERS: tuple[Tier, ...] = ("daily", "weekly", "monthly", "yearly")

_HOUR = 3600.0
_Count = Annotated[StrictInt, Field(ge=1)]
_Text = Annotated[str, StringConstraints(min_length=1)]
_TIMED: tuple[Format, ...] = ("report", "pgbackrest", "wal-g", "barman")  # that tell how long a backup took


class Keep(StrictModel):
    """How far back backups must reach: so long, or one in each of so many days, weeks, months, years."""

    reach: Duration | None = None
    daily: _Count | None = None
    weekly: _Count | None = None
    monthly: _Count | None = None
    yearly: _Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _duration_alone(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {"reach": value}

    @property
    def tiers(self) -> dict[Tier, int]:
        """Return how many periods of each tier must have a backup."""
        return {tier: count for tier in TIERS if (count := getattr(self, tier)) is not None}


class Size(StrictModel):
    """Bounds of one backup; `shrink`: the share of the median below which the newest one is suspicious."""

    min: Bytes | None = None
    max: Bytes | None = None
    shrink: Annotated[float, Field(gt=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} must not be above max {self.max:g}")
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
    since: date | None = None
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

    name: _Text
    of: _Text
    files: _Text
    format: Format = "auto"
    encrypted: bool = False
    copy_of: str | None = None
    base: str | None = None
    marker: _Text | None = None

    @field_validator("files", "marker")
    @classmethod
    def _below_the_place(cls, value: str | None) -> str | None:
        if value is not None and (value.startswith("/") or ".." in value.split("/")):
            raise ValueError(f"{value!r} must lie below the place: no leading slash, no '..'")
        return value

    @model_validator(mode="after")
    def _keys_go_with_the_format(self) -> Self:
        if self.base is not None and self.format != "wal":
            raise ValueError("base belongs to format: wal")
        if self.duration is not None and self.format not in _TIMED:
            raise ValueError(f"duration: format {self.format} does not tell how long it took; {', '.join(_TIMED)} do")
        return self
