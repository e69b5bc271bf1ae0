"""The state that operations and the snapshot keep between polls; nothing here reads a clock."""

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Container, Hashable, Iterator, Mapping
from operator import add, sub
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
Counts = tuple[float, ...]


class Deltas(Generic[K]):
    """Turn counters that restart, vanish and return into increments, key by key.

    A key that is new, and one with a counter that fell, count from zero.
    """

    def __init__(self) -> None:
        self._last: Mapping[K, Counts] | None = None

    def update(self, counters: Mapping[K, Counts]) -> dict[K, Counts] | None:
        """Return what was added to the keys that moved; None the first time, when there is nothing to compare with."""
        last, self._last = self._last, counters
        if last is None:
            return None
        deltas: dict[K, Counts] = {}
        for key, now in counters.items():
            before = last.get(key)
            if before is None:
                deltas[key] = now
            elif now != before:
                delta = tuple(map(sub, now, before))
                deltas[key] = now if min(delta) < 0 else delta
        return deltas


class Interval(NamedTuple):
    """The growth of two counters since the first update, and the share of the first one in the last interval."""

    part: float
    rest: float
    ratio: float | None  # None where nothing happened, or where there is nothing to compare with


class IntervalRatios(Generic[K]):
    """Compute the share of one counter in two over each interval.

    Their sources are sums that fall when a summand is dropped: the growth in that interval is unknown, so it adds
    nothing.
    """

    def __init__(self) -> None:
        self._last: Mapping[K, tuple[float, float]] = {}
        self._sums: dict[K, Interval] = {}

    def update(self, counters: Mapping[K, tuple[float, float]]) -> dict[K, Interval]:
        self._sums = {key: self._advance(key, now) for key, now in counters.items()}
        self._last = counters
        return self._sums

    def _advance(self, key: K, now: tuple[float, float]) -> Interval:
        before = self._last.get(key, now)
        sums = self._sums.get(key, Interval(0.0, 0.0, None))
        part, rest = now[0] - before[0], now[1] - before[1]
        if part < 0 or rest < 0:
            return sums._replace(ratio=None)
        ratio = part / (part + rest) if part + rest > 0 else None
        return Interval(sums.part + part, sums.rest + rest, ratio)


class WindowSums(Generic[K]):
    """Sum what was added to each key over a window of time, kept in slices of a fifth of it each."""

    def __init__(self, window: float = 300.0) -> None:
        self._window = window
        self._slices: deque[tuple[float, dict[K, float]]] = deque()
        self.sums: dict[K, float] = {}

    def add(self, amounts: Mapping[K, float], now: float) -> None:
        if not self._slices or now - self._slices[-1][0] >= self._window / 5:
            self._slices.append((now, {}))
        _add(self._slices[-1][1], amounts)
        if now - self._slices[0][0] < self._window:
            _add(self.sums, amounts)
            return
        while now - self._slices[0][0] >= self._window:
            self._slices.popleft()
        self.sums = {}
        for _, part in self._slices:
            _add(self.sums, part)


_FAVOUR = 1.25  # a member may weigh this much less than others: series should seldom change


def heaviest(weights: Mapping[K, float], members: Container[K], size: int) -> list[K]:
    """Choose the keys that weigh most, with some favour for those that are members already."""
    favoured = {key: weight * _FAVOUR if key in members else weight for key, weight in weights.items()}
    return heapq.nlargest(size, favoured, key=favoured.__getitem__)


class TopMembers(Generic[K]):
    """Choose the keys worth series of their own: those that weigh most.

    A key enters when it is among the top `size`. It leaves after `linger` seconds outside the top 2 x `size`, but
    only while more than `size` are in: what runs once an hour keeps its place in a server that has room. There are
    never more than 2 x `size` members.
    """

    def __init__(self, size: int = 50, linger: float = 1800.0) -> None:
        self._size, self._linger = size, linger
        self._inside_at: dict[K, float] = {}  # when each member was last among the top 2 x size

    def __contains__(self, key: K) -> bool:
        return key in self._inside_at

    def __iter__(self) -> Iterator[K]:
        return iter(self._inside_at)

    def seed(self, weights: Mapping[K, float], now: float) -> None:
        """Begin with the heaviest of all time, so that their series exist before anything happens."""
        self._inside_at.update(dict.fromkeys(heapq.nlargest(self._size, weights, key=weights.__getitem__), now))

    def update(self, weights: Mapping[K, float], now: float) -> None:
        """Choose anew by what each key weighs now."""
        ranking = heapq.nlargest(2 * self._size, weights, key=weights.__getitem__)
        for key in ranking:
            if key in self._inside_at:
                self._inside_at[key] = now
        for key in ranking[: self._size]:
            self._inside_at[key] = now
        longest_outside = sorted(self._inside_at, key=self._inside_at.__getitem__)
        for key in longest_outside[: max(0, len(self._inside_at) - self._size)]:
            crowded = len(self._inside_at) > 2 * self._size
            if crowded or now - self._inside_at[key] > self._linger:
                del self._inside_at[key]


class Breakdown(Generic[K]):
    """Count by key for those that weighed most over a window, by group for the others, and by group for all.

    No counter ever falls, and between two polls the members and the others grow by as much as the total. So a member
    begins at 0: what it did before was counted with the others, and a new series shows no increase. A member that
    leaves takes its count along: adding it to the others would look like a burst of work, and the total cannot fall.
    Hence the values add up to the total less the counts of the members that left.
    """

    def __init__(
        self, group: Callable[[K], str], columns: int, weight: int, top: TopMembers[K], window: float = 300.0
    ) -> None:
        self._group, self._weight, self._top = group, weight, top
        self._zeros: Counts = (0.0,) * columns
        self._weights: WindowSums[K] = WindowSums(window)
        self.members: dict[K, Counts] = {}
        self.others: dict[str, Counts] = {}
        self.totals: dict[str, Counts] = {}

    def start(self, counters: Mapping[K, Counts], now: float) -> None:
        """Use the first values of the counters for the ranking only: their increase is unknown."""
        self._top.seed({key: counts[self._weight] for key, counts in counters.items()}, now)
        self.members = dict.fromkeys(self._top, self._zeros)
        self.others = dict.fromkeys(map(self._group, counters), self._zeros)
        self.totals = dict(self.others)

    def add(self, deltas: Mapping[K, Counts], now: float) -> None:
        self._weights.add({key: counts[self._weight] for key, counts in deltas.items()}, now)
        self._top.update(self._weights.sums, now)
        counted = {key for key in self.members if key in self._top}
        self.members = {key: self.members.get(key, self._zeros) for key in self._top}
        others: defaultdict[str, list[Counts]] = defaultdict(list)
        for key, counts in deltas.items():
            group = self._group(key)
            if key in counted:
                _grow(self.members, key, counts)
                _grow(self.totals, group, counts)
            else:
                others[group].append(counts)
        for group, many in others.items():
            counts = tuple(map(sum, zip(*many, strict=True)))
            _grow(self.others, group, counts)
            _grow(self.totals, group, counts)


def _add(sums: dict[K, float], weights: Mapping[K, float]) -> None:
    for key, weight in weights.items():
        sums[key] = sums.get(key, 0.0) + weight


def _grow(counters: dict[K, Counts], key: K, counts: Counts) -> None:
    before = counters.get(key)
    counters[key] = tuple(map(add, before, counts)) if before else counts


class WindowMaxima(Generic[K]):
    """Remember the largest values of each key over a window of time, for peaks between two polls."""

    def __init__(self, window: float = 60.0) -> None:
        self._window = window
        self._looks: deque[tuple[float, Mapping[K, Counts]]] = deque()

    def add(self, values: Mapping[K, Counts], now: float) -> None:
        self._looks.append((now, values))

    def maxima(self, now: float) -> dict[K, Counts]:
        """Return the largest of each of a key's values; a key that was not added in the window is left out."""
        while self._looks and now - self._looks[0][0] > self._window:
            self._looks.popleft()
        largest: dict[K, Counts] = {}
        for _, values in self._looks:
            for key, counts in values.items():
                largest[key] = tuple(map(max, counts, largest.get(key, counts)))
        return largest
