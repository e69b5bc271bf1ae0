"""How a target's state follows what its polls see."""

import pytest

from tests.making import EVERY, Story


@pytest.mark.parametrize(
    ("polls", "states"),
    [
        ("o", "o"),
        ("d", "d"),
        ("w", "w"),
        ("od", "oo"),
        ("odd", "ood"),
        ("ododod", "oooooo"),
        ("doo", "ddo"),
        ("dodo", "dddd"),
        ("oww", "oow"),
        ("wdd", "wwd"),
        ("wod", "www"),
        ("owd", "oow"),
        ("owdd", "oowd"),
        ("dowo", "ddww"),
        ("oa", "od"),
        ("oaoo", "oddo"),
        ("oss", "oow"),
    ],
)
def test_one_poll_alone_changes_nothing(polls: str, states: str) -> None:
    """Two in a row do, in both directions, and no state is worse than what two in a row saw.

    From unknown, and when the password is refused, there is nothing to damp.
    """
    letters = {"ok": "o", "degraded": "w", "down": "d"}
    story = Story()

    assert "".join(letters[story.poll(seen)] for seen in polls) == states


def test_a_target_starts_unknown() -> None:
    """Until its first poll has ended, a good ping notwithstanding."""
    story = Story()
    assert story.snapshot.state("orders", 1.0) == "unknown"

    story.snapshot.put(story.events.ping(1.0))
    assert (story.snapshot.state("orders", 1.0), story.snapshot.up("orders", 1.0)) == ("unknown", True)


def test_since_is_when_the_state_changed() -> None:
    story = Story()
    for seen in "oooddd":
        story.poll(seen)

    assert story.snapshot.status["orders"].since == 5 * EVERY


def test_more_than_four_changes_in_ten_minutes_are_flapping() -> None:
    """And calm for ten minutes ends it."""
    story = Story()
    for seen in "ooddooddoo":
        story.poll(seen)
    status = story.snapshot.status["orders"]

    assert len(status.changes) == 5
    assert status.flapping(story.now) is True
    assert status.flapping(status.changes[0] + 600) is False


def test_the_breaker_opens_at_the_third_failure_in_a_row() -> None:
    """One success closes it."""
    story, opened = Story(), []
    for seen in "ddoddd":
        story.poll(seen)
        opened.append(story.snapshot.status["orders"].breaker_open)

    assert opened == [False, False, False, False, False, True]


def test_polls_are_counted() -> None:
    """Failures by reason, and those that were left out."""
    story = Story()
    for seen in "odda":
        story.poll(seen)
    story.snapshot.put(story.events.poll(90.0, skipped=2))
    status = story.snapshot.status["orders"]

    assert (status.polls, status.skipped, status.failures) == (5, 2, {"connect": 2, "auth": 1})


def test_last_success_is_the_last_good_poll() -> None:
    story = Story()
    for seen in "ood":
        story.poll(seen)
    status = story.snapshot.status["orders"]

    assert (status.attempted_at, status.succeeded_at) == (3 * EVERY, 2 * EVERY)
