"""Rules that make a check of /health of a query's rows: one outcome for each poll."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Status = Literal["pass", "unknown", "warn", "fail"]

STATUSES: tuple[Status, ...] = ("pass", "unknown", "warn", "fail")  # from best to worst
DURATION = "datatier_query_seconds"  # the metric of a rule that judges how long the query itself took

_Bound = Annotated[float, Field(allow_inf_nan=False)]


class HealthRule(BaseModel):
    """Turn a metric's worst sample, the query's own duration, or a column that holds the status, into a check.

    threshold: the limit of the table that warn_above and fail_above come from, so that a target may have another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    check: str = Field(min_length=1)
    metric: str | None = None
    status: str | None = None
    threshold: str | None = None
    warn_above: _Bound | None = None
    fail_above: _Bound | None = None
    warn_below: _Bound | None = None
    fail_below: _Bound | None = None

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        for warn, fail, sign in (("warn_above", "fail_above", 1), ("warn_below", "fail_below", -1)):
            first, then = getattr(self, warn), getattr(self, fail)
            if first is not None and then is not None and sign * first > sign * then:
                raise ValueError(f"{warn} {first:g} would never warn: {fail} {then:g} comes first")
        return self

    def judge(self, value: float) -> Status:
        if _outside(value, self.fail_above, self.fail_below):
            return "fail"
        return "warn" if _outside(value, self.warn_above, self.warn_below) else "pass"


class CheckOutcome(NamedTuple):
    """State the outcome of one health rule at one poll.

    value is None where rows have their own status; findings name what is wrong, where the query has such a column.
    """

    rule: HealthRule
    status: Status
    value: float | None
    findings: tuple[str, ...] = ()


def worst_value(rule: HealthRule, values: Sequence[object]) -> CheckOutcome | None:
    """Judge each value that is a number; None when there is none."""
    numbers = [value for value in values if isinstance(value, float) and not math.isnan(value)]
    judged = [CheckOutcome(rule, rule.judge(value), value) for value in numbers]
    return max(judged, key=_rank, default=None)


def worst_status(rule: HealthRule, rows: Sequence[tuple[Status, tuple[str, ...]]]) -> CheckOutcome | None:
    """Take the worst status of rows, each with its findings, and the findings of the rows that have it."""
    if not rows:
        return None
    worst = max((status for status, _ in rows), key=STATUSES.index)
    findings = tuple(name for status, names in rows if status == worst for name in names)
    return CheckOutcome(rule, worst, None, findings)


def _rank(outcome: CheckOutcome) -> tuple[int, float]:
    """Order outcomes by status, then by distance in the direction that the rule calls bad."""
    falling = outcome.rule.warn_below is not None or outcome.rule.fail_below is not None
    value = outcome.value or 0.0
    return STATUSES.index(outcome.status), -value if falling else value


def _outside(value: float, above: float | None, below: float | None) -> bool:
    return (above is not None and value > above) or (below is not None and value < below)
