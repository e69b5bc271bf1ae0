"""What operations keep between polls."""

import math
from functools import reduce
from operator import add, sub

from hypothesis import given
from hypothesis import strategies as st

from exporter.datastores.accumulators import (
    Breakdown,
    Counts,
    Deltas,
    IntervalRatios,
    TopMembers,
    WindowMaxima,
    WindowSums,
)
from exporter.queries.histogram import Histogram

KEYS = ["a:1", "a:2", "a:3", "b:1", "b:2", "b:3", "b:4"]


def group_of(key: str) -> str:
    return key[0]


def test_histogram_counts_cumulatively() -> None:
    histogram = Histogram([0.1, 1.0])
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)

    assert histogram.value().buckets == ((0.1, 2.0), (1.0, 3.0), (math.inf, 4.0))
    assert histogram.value().sum == 7.65


def test_first_update_of_deltas_is_the_baseline() -> None:
    deltas: Deltas[str] = Deltas()

    assert deltas.update({"x": (100.0, 5.0)}) is None
    assert deltas.update({"x": (103.0, 6.0)}) == {"x": (3.0, 1.0)}


def test_keys_that_did_not_move_have_no_delta() -> None:
    deltas: Deltas[str] = Deltas()
    deltas.update({"x": (1.0,), "y": (1.0,)})

    assert deltas.update({"x": (1.0,), "y": (2.0,)}) == {"y": (1.0,)}


def test_a_counter_that_fell_counts_from_zero() -> None:
    deltas: Deltas[str] = Deltas()
    deltas.update({"x": (100.0, 50.0)})

    assert deltas.update({"x": (4.0, 2.0)}) == {"x": (4.0, 2.0)}


def test_a_counter_that_restarted_and_overtook_itself_is_known_by_the_others() -> None:
    """A reset between two polls, and more calls since than ever before, quick ones: time fell all the same."""
    deltas: Deltas[str] = Deltas()
    deltas.update({"x": (100.0, 50.0)})

    assert deltas.update({"x": (120.0, 2.0)}) == {"x": (120.0, 2.0)}


def test_a_key_that_was_evicted_and_returns_counts_from_zero() -> None:
    deltas: Deltas[str] = Deltas()
    deltas.update({"x": (100.0,), "y": (1.0,)})

    assert deltas.update({"y": (1.0,)}) == {}
    assert deltas.update({"x": (120.0,), "y": (1.0,)}) == {"x": (120.0,)}


def test_ratio_is_of_the_interval_not_of_all_time() -> None:
    ratios: IntervalRatios[str] = IntervalRatios()

    assert ratios.update({"db": (1000.0, 0.0)})["db"].ratio is None
    assert ratios.update({"db": (1003.0, 1.0)})["db"] == (3.0, 1.0, 0.75)


def test_an_interval_without_requests_has_no_ratio() -> None:
    ratios: IntervalRatios[str] = IntervalRatios()
    ratios.update({"db": (10.0, 5.0)})

    assert ratios.update({"db": (10.0, 5.0)})["db"] == (0.0, 0.0, None)


def test_a_dropped_index_adds_nothing_and_gives_no_ratio() -> None:
    ratios: IntervalRatios[str] = IntervalRatios()
    ratios.update({"db": (100.0, 50.0)})
    ratios.update({"db": (110.0, 50.0)})

    assert ratios.update({"db": (30.0, 60.0)})["db"] == (10.0, 0.0, None)
    assert ratios.update({"db": (31.0, 61.0)})["db"] == (11.0, 1.0, 0.5)


def test_the_heaviest_enter_and_stay_while_there_is_room() -> None:
    top: TopMembers[str] = TopMembers(size=2, linger=1800)
    top.update({"x": 1.0, "y": 2.0, "z": 3.0}, now=0)

    assert set(top) == {"y", "z"}

    top.update({}, now=10_000)

    assert set(top) == {"y", "z"}


def test_a_member_leaves_after_lingering_outside_twice_the_size() -> None:
    top: TopMembers[str] = TopMembers(size=1, linger=1800)
    top.update({"old": 5.0}, now=0)
    busy = {"x": 3.0, "y": 2.0}
    for now in range(300, 2100, 300):
        top.update(busy, now=now)

    assert "old" in top

    top.update(busy, now=2100)

    assert "old" not in top
    assert "x" in top


def test_seeds_are_the_heaviest_of_all_time() -> None:
    top: TopMembers[str] = TopMembers(size=2)
    top.seed({"x": 1.0, "y": 9.0, "z": 5.0}, now=0)

    assert set(top) == {"y", "z"}


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 9)), min_size=1, max_size=40))
def test_window_sums_hold_what_was_added_within_the_window_but_for_a_slice_at_most(
    polls: list[tuple[int, int]],
) -> None:
    sums: WindowSums[str] = WindowSums(window=300)
    now, added = 0, []
    for pause, amount in polls:
        now += pause
        added.append((now, amount))
        sums.add({"x": float(amount)}, now)
        a_slice_less, within = (sum(n for at, n in added if now - at < seconds) for seconds in (240, 300))

        assert a_slice_less <= sums.sums["x"] <= within


def test_window_sums_forget_keys_that_rest() -> None:
    sums: WindowSums[str] = WindowSums(window=300)
    sums.add({"burst": 100.0}, now=0)
    sums.add({"steady": 1.0}, now=299)
    assert sums.sums == {"burst": 100.0, "steady": 1.0}

    sums.add({"steady": 1.0}, now=331)

    assert sums.sums == {"steady": 2.0}


def test_series_exist_before_anything_happens() -> None:
    breakdown: Breakdown[str] = Breakdown(group_of, 2, 1, TopMembers(size=1))
    breakdown.start({"a:1": (10.0, 5.0), "a:2": (20.0, 1.0)}, now=0)

    assert breakdown.members == {"a:1": (0.0, 0.0)}
    assert breakdown.others == {"a": (0.0, 0.0)}
    assert breakdown.totals == {"a": (0.0, 0.0)}


def test_growth_before_membership_counts_for_the_others() -> None:
    """Its series begins at 0, so that a rate misses nothing of it."""
    breakdown: Breakdown[str] = Breakdown(group_of, 2, 1, TopMembers(size=1))
    breakdown.start({}, now=0)
    breakdown.add({"a:1": (2.0, 5.0)}, now=15)

    assert breakdown.members == {"a:1": (0.0, 0.0)}
    assert breakdown.others == {"a": (2.0, 5.0)}

    breakdown.add({"a:1": (3.0, 7.0)}, now=30)

    assert breakdown.members == {"a:1": (3.0, 7.0)}
    assert breakdown.others == {"a": (2.0, 5.0)}
    assert breakdown.totals == {"a": (5.0, 12.0)}


counts = st.tuples(st.integers(0, 1000).map(float), st.integers(0, 1000).map(float))
intervals = st.tuples(st.integers(1, 2000), st.dictionaries(st.sampled_from(KEYS), counts))


@given(counts_at_start=st.dictionaries(st.sampled_from(KEYS), counts), polls=st.lists(intervals, max_size=30))
def test_members_and_other_grow_by_what_the_total_grows(
    counts_at_start: dict[str, Counts], polls: list[tuple[int, dict[str, Counts]]]
) -> None:
    """Between any two polls, group by group: of the series that both pages show, as a rate sees it.

    Nothing falls, nothing is lost or counted twice, members begin at 0 and stay few. Present values add up but for
    what those counted that left.
    """
    breakdown: Breakdown[str] = Breakdown(group_of, 2, 1, TopMembers(size=2, linger=900), window=600)
    breakdown.start(counts_at_start, now=0)
    now = 0
    departed: dict[str, Counts] = {"a": (0.0, 0.0), "b": (0.0, 0.0)}
    for pause, deltas in polls:
        now += pause
        members, others, totals = dict(breakdown.members), dict(breakdown.others), dict(breakdown.totals)
        breakdown.add(deltas, now)
        assert all(breakdown.members[key] == (0.0, 0.0) for key in breakdown.members.keys() - members.keys())
        assert others.keys() <= breakdown.others.keys() == breakdown.totals.keys()
        assert len(breakdown.members) <= 4
        for key in members.keys() - breakdown.members.keys():
            departed[key[0]] = plus(departed[key[0]], members[key])
        for group, total in breakdown.totals.items():
            grown = [(others.get(group, (0.0, 0.0)), breakdown.others[group])]
            grown += [(members[k], v) for k, v in breakdown.members.items() if k in members and k[0] == group]
            assert all(after >= before for pair in grown for before, after in zip(*pair, strict=True))
            increase = reduce(plus, (minus(after, before) for before, after in grown))
            assert increase == minus(total, totals.get(group, (0.0, 0.0)))
            present = [counts for key, counts in breakdown.members.items() if key[0] == group]
            assert reduce(plus, [*present, breakdown.others[group], departed[group]]) == total


def plus(a: Counts, b: Counts) -> Counts:
    return tuple(map(add, a, b))


def minus(a: Counts, b: Counts) -> Counts:
    return tuple(map(sub, a, b))


def test_window_maxima_outlive_what_caused_them_and_no_longer() -> None:
    maxima: WindowMaxima[str] = WindowMaxima(window=60)
    maxima.add({"x": (3.0, 0.5), "y": (1.0, 0.0)}, 0)
    maxima.add({"x": (0.0, 2.0)}, 5)
    maxima.add({"x": (0.0, 0.0)}, 10)

    assert maxima.maxima(60) == {"x": (3.0, 2.0), "y": (1.0, 0.0)}
    assert maxima.maxima(61) == {"x": (0.0, 2.0)}
    assert maxima.maxima(66) == {"x": (0.0, 0.0)}
    assert maxima.maxima(71) == {}
