"""How long queries ran, by a sample each second."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.datastores.postgres.operations.sampler import Activity
from exporter.queries.query import Row

THRESHOLDS = (1.0, 5.0, 30.0, 300.0)


def look(activity: Activity, now: float, queries: list[tuple[float, float]]) -> None:
    """Look at queries, each of a process of its own, that begin and end at known times."""
    running: list[Row] = [
        {"datname": "app", "pid": n, "began_at": began, "age": now - began, "hidden": False}
        for n, (began, ended) in enumerate(queries)
        if began <= now < ended
    ]
    activity.look(running or [{"datname": "app", "pid": None, "began_at": None, "age": None, "hidden": False}], now)


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 40)), max_size=20))
def test_each_count_lies_between_the_queries_longer_than_a_threshold_and_those_a_second_longer(
    begun_and_lasting: list[tuple[float, float]],
) -> None:
    queries = [(began, began + lasting) for began, lasting in begun_and_lasting]
    activity = Activity()
    for second in range(62):
        look(activity, float(second), queries)

    for threshold, count in zip(THRESHOLDS, activity.longer["app"], strict=True):
        longer = sum(ended - began > threshold for began, ended in queries)
        a_second_longer = sum(ended - began > threshold + 1 for began, ended in queries)
        assert a_second_longer <= count <= longer


def test_the_next_query_of_a_process_is_another_query() -> None:
    activity = Activity()
    for began_at, age in ((0.0, 1.2), (0.0, 2.2), (2.5, 0.7), (2.5, 1.7), (2.5, 2.7)):
        activity.look([{"datname": "app", "pid": 1, "began_at": began_at, "age": age, "hidden": False}], began_at + age)

    assert activity.longer == {"app": (2.0, 0.0, 0.0, 0.0)}


def test_a_database_that_is_gone_is_forgotten() -> None:
    activity = Activity()
    look(activity, 0.0, [])
    activity.look([{"datname": "other", "pid": None, "began_at": None, "age": None, "hidden": False}], 1.0)

    assert activity.longer == {"other": (0.0, 0.0, 0.0, 0.0)}


def test_the_longest_of_the_last_minute_is_kept() -> None:
    activity = Activity()
    look(activity, 8.0, [(0.0, 9.0)])
    look(activity, 10.0, [])

    assert activity.oldest.maxima(60.0) == {"app": (8.0,)}
    assert activity.oldest.maxima(69.0) == {"app": (0.0,)}
