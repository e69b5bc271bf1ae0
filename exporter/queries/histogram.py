"""Histograms: their values, and the one that observations are counted in."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class HistogramValue(NamedTuple):
    """Hold one histogram: (upper bound, cumulative count) up to +Inf, and the sum where it is known."""

    buckets: tuple[tuple[float, float], ...]
    sum: float | None


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
