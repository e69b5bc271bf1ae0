"""One table of limits."""

import pytest
from pydantic import ValidationError

from exporter.thresholds import THRESHOLDS, Limit, limits
from exporter.verdict import HealthRule


def test_a_warning_comes_before_a_failure() -> None:
    with pytest.raises(ValidationError, match=r"warn 0\.9 must not be above fail 0\.8"):
        Limit(warn=0.9, fail=0.8)


def test_what_never_fails_only_warns() -> None:
    """One sleeping client must not fail the data tier."""
    limit = THRESHOLDS["transaction_age_seconds"]
    rule = HealthRule(check="idle", metric="pg_idle_seconds", warn_above=limit.warn, fail_above=limit.fail)

    assert [rule.judge(value) for value in (300, 301, 1e9)] == ["pass", "warn", "warn"]


def test_a_users_limit_replaces_one_of_the_table() -> None:
    """The others stay."""
    mine = Limit(warn=0.5, fail=0.6)

    assert limits({"disk_used_ratio": mine}) == {**THRESHOLDS, "disk_used_ratio": mine}
