"""Durations are counted by bound, and counts only grow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.queries.histogram import Histogram


def test_histogram_without_observations_is_all_zeros() -> None:
    """A histogram exists before its first observation."""
    value = Histogram([0.1, 1.0]).value()

    assert (value.buckets, value.sum) == (((0.1, 0.0), (1.0, 0.0), (math.inf, 0.0)), 0.0)


@pytest.mark.parametrize(("seconds", "counts"), [(0.1, (1.0, 1.0, 1.0)), (0.11, (0.0, 1.0, 1.0)), (2, (0.0, 0.0, 1.0))])
def test_a_bound_belongs_to_its_bucket(seconds: float, counts: tuple[float, ...]) -> None:
    """Prometheus calls it le: less or equal."""
    histogram = Histogram([0.1, 1.0])
    histogram.observe(seconds)

    assert tuple(count for _, count in histogram.value().buckets) == counts


@given(st.lists(st.floats(0, 100)))
def test_every_observation_is_in_infinity(values: list[float]) -> None:
    """Cumulative, complete, and with the sum of all."""
    histogram = Histogram([0.001, 0.5, 10.0])
    for value in values:
        histogram.observe(value)
    found = histogram.value()

    assert [count for _, count in found.buckets] == [
        sum(value <= bound for value in values) for bound in (0.001, 0.5, 10.0, math.inf)
    ]
    assert found.sum == pytest.approx(sum(values))
