"""How a target's state follows what its polls see."""

import pytest

from exporter.state.local_fault import LocalFault
from exporter.state.target_status import State
from tests.support.factories import EVERY, Events, Scenario, monitored_target, snapshot


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
def test_state_follows_two_polls_that_agree(polls: str, states: str) -> None:
    """Two in a row do, in both directions, and no state is worse than what two in a row saw.

    From unknown, and when the password is refused, there is nothing to damp.
    """
    letters = {"ok": "o", "degraded": "w", "down": "d"}
    scenario = Scenario()

    assert "".join(letters[scenario.poll(seen)] for seen in polls) == states


def test_a_target_starts_unknown() -> None:
    """Until its first poll has ended, a good ping notwithstanding."""
    scenario = Scenario()
    assert scenario.snapshot.state("orders", 1.0) == "unknown"

    scenario.snapshot.apply(scenario.events.ping(1.0))
    assert (scenario.snapshot.state("orders", 1.0), scenario.snapshot.up("orders", 1.0)) == ("unknown", True)


def test_since_is_when_the_state_changed() -> None:
    scenario = Scenario()
    for seen in "oooddd":
        scenario.poll(seen)

    assert scenario.snapshot.status["orders"].since == 5 * EVERY


def test_observed_state_is_that_of_the_last_poll() -> None:
    """For clients that damp by themselves; before the first ping it is unknown."""
    scenario = Scenario()
    assert scenario.snapshot.state("orders", 1.0, raw=True) == "unknown"

    raw = []
    for seen in "odws":
        scenario.poll(seen)
        raw.append(scenario.snapshot.state("orders", scenario.now, raw=True))
    assert raw == ["ok", "down", "degraded", "degraded"]
    assert scenario.snapshot.state("orders", scenario.now + 60, raw=True) == "unknown"


def faulty(*faults: LocalFault | None) -> list[State]:
    """Return the states of targets each of which fails two pings for a fault of ours, or for none."""
    targets = [Events(monitored_target(f"t{number}")) for number in range(len(faults))]
    made = snapshot(*[events.target for events in targets])
    for now in (1.0, 2.0):
        for events, fault in zip(targets, faults, strict=True):
            made.apply(events.failed_ping(now, fault=fault))
            made.apply(events.poll(now))
    return [made.state(events.target.name, 3.0) for events in targets]


@pytest.mark.parametrize(
    ("faults", "states"),
    [
        ([None, None], ["down", "down"]),
        (["dns", "names"], ["unknown", "unknown"]),
        (["dns", "network"], ["unknown", "unknown"]),
        (["dns", None], ["down", "down"]),
        (["resources", None], ["unknown", "down"]),
    ],
)
def test_target_behind_a_local_fault_is_unknown(faults: list[LocalFault | None], states: list[State]) -> None:
    """A name that does not resolve is the target's own trouble, unless it is everybody's."""
    assert faulty(*faults) == states


def test_one_successful_ping_ends_the_local_fault() -> None:
    """They are down, then."""
    first, second = Events(monitored_target("first")), Events(monitored_target("second"))
    made = snapshot(first.target, second.target)
    for events in (first, second):
        made.apply(events.failed_ping(1.0, fault="dns"))
        made.apply(events.poll(1.0))
    made.apply(second.ping(2.0))

    assert (made.all_unreachable_locally, made.state("first", 3.0)) == (False, "down")


def test_the_breaker_opens_at_the_third_failure_in_a_row() -> None:
    """One success closes it."""
    scenario, opened = Scenario(), []
    for seen in "ddoddd":
        scenario.poll(seen)
        opened.append(scenario.snapshot.status["orders"].breaker_open)

    assert opened == [False, False, False, False, False, True]


def test_polls_are_counted() -> None:
    """Failures by reason, and those that were left out."""
    scenario = Scenario()
    for seen in "odda":
        scenario.poll(seen)
    scenario.snapshot.apply(scenario.events.poll(90.0, skipped=2))
    status = scenario.snapshot.status["orders"]

    assert (status.polls, status.skipped, status.failures) == (5, 2, {"connect": 2, "auth": 1})


def test_last_success_is_the_last_good_poll() -> None:
    scenario = Scenario()
    for seen in "ood":
        scenario.poll(seen)
    status = scenario.snapshot.status["orders"]

    assert (status.attempted_at, status.succeeded_at) == (3 * EVERY, 2 * EVERY)
