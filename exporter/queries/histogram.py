"""Histograms: read from rows, or counted from observations."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class HistogramValue(NamedTuple):
    """Hold one histogram: (upper bound, cumulative count) up to +Inf, and the sum where it is known."""

    buckets: tuple[tuple[float, float], ...]
    sum: float | None


def cumulative_buckets(counts: Mapping[Any, Any]) -> tuple[tuple[float, float], ...]:
    """Sort counts by their upper bound, up to +Inf; raise ValueError for those that make no histogram."""
    try:
        buckets = sorted((float(bound), float(count)) for bound, count in counts.items())
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"a bucket is no number: {error}") from None
    bounds, ascending = [bound for bound, _ in buckets], [count for _, count in buckets]
    if any(map(math.isnan, bounds + ascending)):
        raise ValueError("a bucket is no number")
    if len(set(bounds)) != len(bounds):
        raise ValueError("two buckets have the same bound")
    if ascending != sorted(ascending) or min(ascending, default=0.0) < 0:
        raise ValueError("bucket counts are not cumulative")
    if buckets and bounds[-1] != math.inf:
        buckets.append((math.inf, ascending[-1]))
    return tuple(buckets)


class Histogram:
    """Count observations by upper bound; the counts only ever grow."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        place = next((i for i, bound in enumerate(self._bounds) if value <= bound), len(self._bounds))
        self._counts[place] += 1
        self._sum += value

    def value(self) -> HistogramValue:
        cumulative = 0
        buckets = []
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            cumulative += count
            buckets.append((bound, float(cumulative)))
        return HistogramValue(tuple(buckets), self._sum)
