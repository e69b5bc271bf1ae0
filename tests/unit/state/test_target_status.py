"""The state machine of a target, under every order of polls."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import QueryError
from exporter.state.target_status import STATES, State, TargetStatus, next_status
from tests.support.factories import EVERY

SEEN = st.sampled_from(["ok", "degraded", "down", "refused"])
POLLS = st.lists(SEEN, min_size=1, max_size=80)
FLAPPING = ["ok", "ok", "down", "down"] * 3


def after(polls: list[str], status: TargetStatus | None = None, now: float = 0.0) -> list[TargetStatus]:
    """Return the status after each poll; `refused` is down because the login is refused."""
    status, found = status or TargetStatus(), []
    for number, seen in enumerate(polls, 1):
        error = QueryError("auth" if seen == "refused" else "connect", "no") if seen in ("down", "refused") else None
        status = next_status(replace(status, error=error), state_of(seen), now + EVERY * number)
        found.append(status)
    return found


def state_of(seen: str) -> State:
    return next(state for state in STATES if state == ("down" if seen == "refused" else seen))


@given(POLLS)
def test_the_first_poll_and_a_refused_login_count_at_once(polls: list[str]) -> None:
    """Even while the target flaps: a password does not come right by itself."""
    found = after(polls)

    assert found[0].state == state_of(polls[0])
    assert all(status.state == "down" for status, seen in zip(found, polls, strict=True) if seen == "refused")


@given(POLLS)
def test_two_polls_that_agree_decide(polls: list[str]) -> None:
    """Whatever was before them, but for a target that flaps."""
    found = after([*polls, polls[-1]])

    assert found[-1].flapping or found[-1].state == state_of(polls[-1])


@given(POLLS, SEEN.filter(lambda seen: seen != "refused"))
def test_next_status_ignores_one_poll_that_differs(polls: list[str], odd: str) -> None:
    """Neither for better nor for worse, nor does it count as a change."""
    *_, before, during, back = after([*polls, polls[-1], odd, polls[-1]])

    assert during.damped == back.damped == before.damped
    assert len(back.changes) <= len(before.changes)


@given(POLLS)
def test_no_state_is_made_up(polls: list[str]) -> None:
    """It lies between what the last two polls saw and the state before, and is no other than those."""
    found = after(polls)

    for number in range(1, len(polls)):
        seen = {state_of(polls[number - 1]), state_of(polls[number])}
        assert found[number].damped in seen | {found[number - 1].damped}


@given(POLLS)
def test_next_status_holds_a_flapping_target_at_degraded(polls: list[str]) -> None:
    """And nothing is held without more than four changes."""
    for status, seen in zip(after(polls), polls, strict=True):
        if status.flapping:
            assert status.state == ("down" if seen == "refused" else "degraded")
            assert len(status.changes) > 4
        else:
            assert status.state == status.damped


@given(POLLS, st.sampled_from(["ok", "degraded", "down"]))
def test_quiet_ends_the_hold(polls: list[str], seen: str) -> None:
    """Within two and a half minutes of polls that agree, so that a server that died at last is called down."""
    last = after(polls)[-1]
    calm = after([seen] * 12, last, EVERY * len(polls))[-1]

    assert (calm.flapping, calm.state) == (False, seen)


def test_more_than_four_changes_in_ten_minutes_are_flapping() -> None:
    """The start is none; a change every three minutes is no flapping either."""
    assert [status.flapping for status in after(FLAPPING)] == [False] * 11 + [True]

    slow = [seen for state in ("ok", "down") * 5 for seen in [state] * 12]
    assert not any(status.flapping for status in after(slow))


def test_a_clock_that_jumps_back_ends_the_hold() -> None:
    """Changes that lie in the future say nothing."""
    last = after(FLAPPING)[-1]
    assert last.flapping

    [later] = after(["down"], last, now=-86400.0)
    assert (later.flapping, later.state) == (False, "down")
