"""One table of limits."""

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.config.thresholds import THRESHOLDS, Limit, Overrides, limits
from exporter.queries.health_rule import HealthRule


def test_a_warning_comes_before_a_failure() -> None:
    with pytest.raises(ValidationError, match=r"warn 0\.9 must not be above fail 0\.8"):
        Limit(warn=0.9, fail=0.8)


def test_threshold_without_a_failure_only_warns() -> None:
    """One sleeping client must not fail the data tier."""
    limit = THRESHOLDS["transaction_age_seconds"]
    rule = HealthRule(check="idle", metric="pg_idle_seconds", warn_above=limit.warn, fail_above=limit.fail)

    assert [rule.judge(value) for value in (300, 301, 1e9)] == ["pass", "warn", "warn"]


def test_a_users_limit_replaces_one_of_the_table() -> None:
    """The others stay."""
    mine = Limit(warn=0.5, fail=0.6)

    assert limits({"disk_used_ratio": mine}) == {**THRESHOLDS, "disk_used_ratio": mine}


@pytest.mark.parametrize(
    ("name", "limit", "problem"),
    [
        ("disk_used_ratio", {"warn": 80, "fail": 90}, "disk_used_ratio: warn 80 would never be exceeded: 80 % is 0.8"),
        ("disk_used_ratio", {"warn": 0.8, "fail": 1}, "disk_used_ratio: fail 1 would never be exceeded"),
        ("wraparound_ratio", {"warn": 1.5, "fail": None}, "wraparound_ratio: warn 1.5 would never be exceeded"),
        ("response_seconds", {"warn": -1, "fail": 2}, "greater than or equal to 0"),
        ("response_seconds", {"warn": float("nan"), "fail": 2}, "greater than or equal to 0"),
        ("response_seconds", {"warn": 1, "fail": float("inf")}, "finite number"),
        ("response_seconds", {"warn": True, "fail": 2}, "expected a number, found true"),
        ("freeze_ratio", {"warn": 1.5, "fail": 2}, None),
        ("replication_lag_seconds", {"warn": "30", "fail": None}, None),
    ],
)
def test_a_limit_that_could_never_be_exceeded(name: str, limit: dict[str, object], problem: str | None) -> None:
    """Above all a percentage where a ratio is expected."""
    adapter: TypeAdapter[Overrides] = TypeAdapter(Overrides)
    if problem is None:
        assert adapter.validate_python({name: limit})[name].warn > 1
        return
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python({name: limit})

    assert problem in str(caught.value)


def test_our_own_limits_can_be_exceeded() -> None:
    """The table itself passes what a user's limits have to."""
    assert TypeAdapter(Overrides).validate_python(dict(THRESHOLDS)) == THRESHOLDS
