"""Rules that make checks of /health of a query's rows: one outcome of each check for each poll."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Status = Literal["pass", "unknown", "warn", "fail"]

STATUSES: tuple[Status, ...] = ("pass", "unknown", "warn", "fail")  # from best to worst
DURATION = "datatier_query_seconds"  # the metric of a rule that judges how long the query itself took

_Bound = Annotated[float, Field(allow_inf_nan=False)]


class HealthRule(BaseModel):
    """Turn a metric's worst sample, the query's own duration, or a column that holds the status, into a check.

    check_column: instead of the name, a column of names: each is a check of its own, of the rows that have it.
    threshold: the limit of the table that warn_above and fail_above come from, so that a target may have another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    check: str | None = Field(default=None, min_length=1)
    check_column: str | None = None
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

    @property
    def name(self) -> str:
        """Return the check's name, empty where the rows have it."""
        return self.check or ""

    def judge(self, value: float) -> Status:
        if _outside(value, self.fail_above, self.fail_below):
            return "fail"
        return "warn" if _outside(value, self.warn_above, self.warn_below) else "pass"


class CheckOutcome(NamedTuple):
    """State the outcome of one check of a health rule at one poll.

    value is None where rows have their own status; findings name what is wrong, where the query has such a column.
    """

    check: str
    rule: HealthRule
    status: Status
    value: float | None
    findings: tuple[str, ...] = ()


class JudgedRow(NamedTuple):
    """A row that brings its own status: the check it belongs to, the status, and what it names as wrong."""

    check: str
    status: Status
    findings: tuple[str, ...]


def worst_value(rule: HealthRule, values: Sequence[object]) -> tuple[CheckOutcome, ...]:
    """Judge each value that is a number, and return the worst; nothing when there is none."""
    numbers = [value for value in values if isinstance(value, float) and not math.isnan(value)]
    judged = [CheckOutcome(rule.name, rule, rule.judge(value), value) for value in numbers]
    return (max(judged, key=_rank),) if judged else ()


def worst_statuses(rule: HealthRule, rows: Iterable[JudgedRow]) -> tuple[CheckOutcome, ...]:
    """Take each check's worst status, and the findings of the rows that have it."""
    by_check: defaultdict[str, list[JudgedRow]] = defaultdict(list)
    for row in rows:
        by_check[row.check].append(row)
    return tuple(_worst(rule, check, judged) for check, judged in by_check.items())


def _worst(rule: HealthRule, check: str, rows: Sequence[JudgedRow]) -> CheckOutcome:
    worst = max((row.status for row in rows), key=STATUSES.index)
    findings = tuple(name for row in rows if row.status == worst for name in row.findings)
    return CheckOutcome(check, rule, worst, None, findings)


def _rank(outcome: CheckOutcome) -> tuple[int, float]:
    """Order outcomes by status, then by distance in the direction that the rule calls bad."""
    falling = outcome.rule.warn_below is not None or outcome.rule.fail_below is not None
    value = outcome.value or 0.0
    return STATUSES.index(outcome.status), -value if falling else value


def _outside(value: float, above: float | None, below: float | None) -> bool:
    return (above is not None and value > above) or (below is not None and value < below)
