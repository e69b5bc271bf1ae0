"""Which statements are shown as slow, for how long, and how many there are: without a server."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.datastores.accumulators import Counts
from exporter.datastores.postgres.operations.slow_statements import SlowStatements, SlowStatementsParams
from exporter.datastores.postgres.operations.statement_entries import EntryKey, Reading

TOP_TWO = SlowStatementsParams(top=2, calls=5)


def reading(**entries: Counts) -> Reading:
    """Make a reading of (calls, seconds) by a letter for each statement."""
    counters: dict[EntryKey, Counts] = {
        ("app", "app", ord(name), True, None): counts for name, counts in entries.items()
    }
    return Reading(("calls", "seconds"), counters, dict.fromkeys(counters, 0.0))


def shown(state: SlowStatements) -> set[str]:
    return {chr(queryid) for _, _, queryid in state.members()}


def test_the_slowest_of_those_called_often_enough_are_shown() -> None:
    state = SlowStatements()
    state.advance(reading(), TOP_TWO, 0)
    state.advance(reading(a=(5, 0.5), b=(4, 40.0), c=(5, 1.5), d=(900, 50.0)), TOP_TWO, 60)

    assert shown(state) == {"a", "c"}


def test_calls_of_several_polls_add_up() -> None:
    """One call a minute is five in five minutes."""
    state = SlowStatements()
    for minute in range(5):
        state.advance(reading(a=(minute, minute * 2.0)), TOP_TWO, minute * 60)
    assert shown(state) == set()

    state.advance(reading(a=(5, 10.0)), TOP_TWO, 300)

    assert shown(state) == {"a"}


def test_calls_before_the_first_reading_are_not_shown() -> None:
    state = SlowStatements()

    assert state.advance(reading(a=(900, 900.0)), TOP_TWO, 0) is True
    assert state.advance(reading(a=(900, 900.0)), TOP_TWO, 60) is False
    assert shown(state) == set()


POLLS = st.lists(
    st.tuples(
        st.integers(30, 600),
        st.dictionaries(st.sampled_from("abcdefghij"), st.tuples(st.integers(0, 9), st.integers(0, 99))),
    ),
    max_size=20,
)


@given(POLLS)
def test_never_more_than_twice_as_many_are_shown_and_each_once_was_among_the_slowest(
    polls: list[tuple[int, dict[str, tuple[int, int]]]],
) -> None:
    state = SlowStatements()
    state.advance(reading(), TOP_TWO, 0)
    counted = dict.fromkeys("abcdefghij", (0, 0))
    now, often = 0, set()
    for pause, deltas in polls:
        now += pause
        for name, (calls, seconds) in deltas.items():
            counted[name] = (counted[name][0] + calls, counted[name][1] + seconds)
        state.advance(reading(**counted), TOP_TWO, now)
        often |= {name for name, (calls, _) in counted.items() if calls >= 5}

        assert len(shown(state)) <= 4
        assert shown(state) <= often
