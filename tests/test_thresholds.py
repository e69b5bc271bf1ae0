"""One table of limits."""

import pytest
from pydantic import ValidationError

from exporter.thresholds import THRESHOLDS, Limit, limits


def test_a_warning_comes_before_a_failure() -> None:
    with pytest.raises(ValidationError, match=r"warn 0\.9 must not be above fail 0\.8"):
        Limit(warn=0.9, fail=0.8)


def test_a_users_limit_replaces_one_of_the_table() -> None:
    """The others stay."""
    mine = Limit(warn=0.5, fail=0.6)

    assert limits({"disk_used_ratio": mine}) == {**THRESHOLDS, "disk_used_ratio": mine}
