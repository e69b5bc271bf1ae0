"""Rows are judged for /health: by limits, or by a status that they bring."""

import math

import pytest
from pydantic import ValidationError

from exporter.errors import QueryError, Reason
from exporter.queries.health_rule import HealthRule, Status
from exporter.queries.query import Row
from tests.support.factories import plain, query


def judged(rule: dict[str, object], rows: list[Row]) -> tuple[Status, float | None] | None:
    asked = query(health=HealthRule.model_validate({"check": "size", **rule}))
    outcome = next(iter(asked.outcomes(rows, asked.samples(rows))), None)
    return None if outcome is None else (outcome.status, outcome.value)


@pytest.mark.parametrize(
    ("value", "status"), [(1.0, "pass"), (10.0, "pass"), (10.5, "warn"), (20.0, "warn"), (20.5, "fail")]
)
def test_a_limit_itself_still_passes(value: float, status: Status) -> None:
    """Above means above."""
    rule = {"metric": "pg_size_bytes", "warn_above": 10, "fail_above": 20}

    assert judged(rule, plain({"app": value})) == (status, value)


def test_the_worst_row_is_the_outcome() -> None:
    """Of many rows the one in most trouble is shown, whichever direction is bad."""
    rows = plain({"a": 5.0, "b": 12.0, "c": 15.0})

    assert judged({"metric": "pg_size_bytes", "warn_above": 10}, rows) == ("warn", 15.0)
    assert judged({"metric": "pg_size_bytes", "warn_below": 13}, rows) == ("warn", 5.0)
    assert judged({"metric": "pg_size_bytes", "warn_above": 100}, rows) == ("pass", 15.0)


def test_health_rule_without_a_value_has_no_outcome() -> None:
    """Neither NULL, nor NaN, nor no row at all is a pass."""
    rule = {"metric": "pg_size_bytes", "warn_above": 10}

    assert judged(rule, []) is None
    assert judged(rule, [{"datname": "app", "bytes": None}]) is None
    assert judged(rule, plain({"app": math.nan})) is None
    assert judged(rule, plain({"app": math.nan, "log": 11.0})) == ("warn", 11.0)


def test_rows_may_have_their_own_status() -> None:
    """The worst status of all rows counts."""
    rows: list[Row] = [{"datname": str(i), "bytes": 1.0, "state": state} for i, state in enumerate(["pass", "warn"])]

    assert judged({"status": "state"}, rows) == ("warn", None)
    assert judged({"status": "state"}, []) is None


@pytest.mark.parametrize("state", ["ok", None, 3, ["pass"]])
def test_a_wrong_status_fails_the_query(state: object) -> None:
    """A status is one of four words."""
    with pytest.raises(QueryError, match="not one of pass, unknown, warn, fail") as caught:
        judged({"status": "state"}, [{"datname": "a", "bytes": 1.0, "state": state}])

    reason: Reason = caught.value.reason
    assert reason == "decode"


@pytest.mark.parametrize(
    "limits",
    [
        {"warn_above": 0.9, "fail_above": 0.8},
        {"warn_below": 0.2, "fail_below": 0.3},
        {"warn_above": math.nan},
        {"fail_below": -math.inf},
    ],
)
def test_a_limit_that_can_never_be_exceeded(limits: dict[str, float]) -> None:
    """A failure that comes before its warning, and what no number is above or below."""
    with pytest.raises(ValidationError):
        HealthRule.model_validate({"check": "jobs", "metric": "jobs", **limits})
