"""What operations keep between polls."""

import math

from hypothesis import given
from hypothesis import strategies as st

from exporter.accumulate import Breakdown, Counts, Deltas, Histogram, IntervalRatios, TopMembers, WindowMaxima

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
    top: TopMembers[str] = TopMembers(size=2, window=300, linger=1800)
    top.update({"x": 1.0, "y": 2.0, "z": 3.0}, now=0)

    assert [key in top for key in "xyz"] == [False, True, True]

    top.update({}, now=10_000)

    assert [key in top for key in "xyz"] == [False, True, True]


def test_a_member_leaves_after_lingering_outside_twice_the_size() -> None:
    top: TopMembers[str] = TopMembers(size=1, window=300, linger=1800)
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

    assert [key in top for key in "xyz"] == [False, True, True]


def test_ranking_forgets_what_is_older_than_the_window() -> None:
    top: TopMembers[str] = TopMembers(size=1, window=300, linger=0)
    top.update({"burst": 100.0}, now=0)
    top.update({"steady": 1.0}, now=299)
    assert "steady" not in top

    top.update({"steady": 1.0}, now=331)

    assert "steady" in top
    assert "burst" not in top


def test_series_exist_before_anything_happens() -> None:
    breakdown: Breakdown[str] = Breakdown(group_of, 1, TopMembers(size=1))
    breakdown.start({"a:1": (10.0, 5.0), "a:2": (20.0, 1.0)}, now=0)

    assert breakdown.members == {"a:1": (0.0, 0.0)}
    assert breakdown.others == {"a": (0.0, 0.0)}
    assert breakdown.totals == {"a": (0.0, 0.0)}


counts = st.tuples(st.integers(0, 1000).map(float), st.integers(0, 1000).map(float))
intervals = st.tuples(st.integers(1, 2000), st.dictionaries(st.sampled_from(KEYS), counts))


@given(counts_at_start=st.dictionaries(st.sampled_from(KEYS), counts), polls=st.lists(intervals, max_size=30))
def test_members_and_other_grow_by_what_the_total_grows(
    counts_at_start: dict[str, Counts], polls: list[tuple[int, dict[str, Counts]]]
) -> None:
    """Nothing falls, nothing is counted twice or lost, and members stay few, whoever enters and leaves."""
    breakdown: Breakdown[str] = Breakdown(group_of, 1, TopMembers(size=2, window=600, linger=900))
    breakdown.start(counts_at_start, now=0)
    now, departed = 0, [0.0, 0.0]
    for pause, deltas in polls:
        now += pause
        before = (dict(breakdown.members), dict(breakdown.others), dict(breakdown.totals))
        breakdown.add(deltas, now)
        after = (breakdown.members, breakdown.others, breakdown.totals)
        for old, new in zip(before, after, strict=True):
            for key in old.keys() & new.keys():
                assert all(b >= a for a, b in zip(old[key], new[key], strict=True))
        for gone in before[0].keys() - breakdown.members.keys():
            departed = [a + b for a, b in zip(departed, before[0][gone], strict=True)]
        assert before[1].keys() <= breakdown.others.keys()
        assert breakdown.others.keys() == breakdown.totals.keys()
        for column in (0, 1):
            parts = [counts[column] for table in (breakdown.members, breakdown.others) for counts in table.values()]
            assert sum(parts) + departed[column] == sum(counts[column] for counts in breakdown.totals.values())
        assert len(breakdown.members) <= 4


def test_window_maxima_outlive_what_caused_them_and_no_longer() -> None:
    maxima: WindowMaxima[str] = WindowMaxima(window=60)
    maxima.add({"x": (3.0, 0.5), "y": (1.0, 0.0)}, 0)
    maxima.add({"x": (0.0, 2.0)}, 5)
    maxima.add({"x": (0.0, 0.0)}, 10)

    assert maxima.maxima(60) == {"x": (3.0, 2.0), "y": (1.0, 0.0)}
    assert maxima.maxima(61) == {"x": (0.0, 2.0)}
    assert maxima.maxima(66) == {"x": (0.0, 0.0)}
    assert maxima.maxima(71) == {}
