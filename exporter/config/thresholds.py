"""The one table of limits: /health, alert rules and panel colours all read it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from exporter.config.secret_files import StrictModel


def _number(value: object) -> object:
    """Reject a truth value: YAML reads `warn: on` as true, which is no 1."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, found {str(value).lower()}")  # noqa: TRY004 - pydantic's errors are ValueErrors
    return value


_Bound = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]


class Limit(StrictModel):
    """The values above which a check warns and fails; with fail None it never fails."""

    warn: _Bound
    fail: _Bound | None

    @model_validator(mode="after")
    def _warns_first(self) -> "Limit":
        if self.fail is not None and self.warn > self.fail:
            raise ValueError(f"warn {self.warn} must not be above fail {self.fail}")
        return self

    @property
    def above(self) -> dict[str, float | None]:
        """Return the limits by the keys of a health rule."""
        return {"warn_above": self.warn, "fail_above": self.fail}


_MIB = 1024 * 1024

THRESHOLDS: Mapping[str, Limit] = MappingProxyType(
    {
        "response_seconds": Limit(warn=0.5, fail=2.0),
        # HTTP dates are whole seconds, and the clock of a virtual machine that was moved needs some time to catch up.
        "clock_skew_seconds": Limit(warn=60, fail=None),
        "replication_lag_seconds": Limit(warn=30, fail=300),
        "replication_lag_bytes": Limit(warn=256 * _MIB, fail=4096 * _MIB),
        "slot_retained_bytes": Limit(warn=10 * 1024 * _MIB, fail=None),
        "archive_wait_seconds": Limit(warn=900, fail=3600),
        "unarchived_seconds": Limit(warn=900, fail=3600),
        "connections_used_ratio": Limit(warn=0.8, fail=0.95),
        "disk_used_ratio": Limit(warn=0.8, fail=0.9),
        "sequence_used_ratio": Limit(warn=0.8, fail=0.95),
        "heap_used_ratio": Limit(warn=0.9, fail=0.98),
        # Some servers let autovacuum wait until 1 billion of 2^31; from 1.6 billion on it drops everything else.
        "wraparound_ratio": Limit(warn=0.5, fail=0.75),
        # One client that sleeps or waits does not mean that the server is broken.
        "transaction_age_seconds": Limit(warn=300, fail=None),
        "blocked_seconds": Limit(warn=60, fail=None),
        "pool_wait_seconds": Limit(warn=1, fail=30),
        # From here on: limits of alerts and panels alone, whose values need a rate or history.
        "unavailable_ratio": Limit(warn=0.001, fail=0.001),
        "cache_miss_ratio": Limit(warn=0.05, fail=None),
        "statement_mean_seconds": Limit(warn=1, fail=None),
        "slow_statements": Limit(warn=5, fail=None),
        "rollback_ratio": Limit(warn=0.1, fail=None),
        "open_transaction_seconds": Limit(warn=3600, fail=None),
        "blocked_sessions": Limit(warn=5, fail=20),
        "idle_sessions_ratio": Limit(warn=0.5, fail=None),
        "dead_rows_ratio": Limit(warn=0.2, fail=None),
        "bloat_ratio": Limit(warn=0.5, fail=None),
        "freeze_ratio": Limit(warn=1.5, fail=None),
        "error_ratio": Limit(warn=0.01, fail=0.05),
        "slow_search_ratio": Limit(warn=0.01, fail=0.05),
        "slow_query_ratio": Limit(warn=0.05, fail=None),
        "unindexed_ratio": Limit(warn=0.1, fail=None),
        "memory_used_ratio": Limit(warn=0.85, fail=0.95),
        "gc_ratio": Limit(warn=0.1, fail=None),
        "first_byte_seconds": Limit(warn=1, fail=None),
    }
)


BEYOND_ONE = {"freeze_ratio"}  # an age by the age at which vacuum is due: above 1 it is overdue


def is_share(name: str) -> bool:
    """Return whether the values of a threshold or metric, by its name, are parts of a whole, from 0 to 1."""
    return name.endswith("_ratio") and name not in BEYOND_ONE


def _known(overrides: dict[str, Limit]) -> dict[str, Limit]:
    for name, limit in overrides.items():
        if name not in THRESHOLDS:
            raise ValueError(f"{name!r} is not a threshold; there are {', '.join(sorted(THRESHOLDS))}")
        for bound, value in (("warn", limit.warn), ("fail", limit.fail)):
            if value is not None and value >= 1 and is_share(name):
                raise ValueError(f"{name}: {bound} {value:g} would never be exceeded: 80 % is 0.8")
    return overrides


Overrides = Annotated[dict[str, Limit], AfterValidator(_known)]


def limits(*overrides: Mapping[str, Limit]) -> Mapping[str, Limit]:
    """Return the table with overrides, of which later ones win."""
    table = dict(THRESHOLDS)
    for override in overrides:
        table |= override
    return table
