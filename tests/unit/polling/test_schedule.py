"""When a poller runs which query."""

import time

import pytest

from exporter.polling import poller
from exporter.polling.schedule import interval, lane, seconds_to_tick, start_delay
from exporter.state.events import Ping, Poll
from tests.support.factories import info, monitored_target, query
from tests.support.fakes import FAST, HANG, Fake, Watch, after, asked
from tests.support.virtual_time import virtual_time


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> object:
    return virtual_time(monkeypatch)


async def test_recovery_makes_all_queries_due() -> None:
    """Their series have expired, also those of hourly queries."""
    fake, hourly, minutely = Fake(), asked("hourly", interval="1h"), asked("minutely", interval="1m")
    async with Watch(fake, hourly, minutely, target=FAST) as watch:
        await watch.until(lambda: len(watch.results()) == 2)
        fake.pinged = OSError("refused")
        await watch.polls(2)
        assert len(watch.results()) == 2

        fake.pinged = info()
        await watch.until(lambda: len(watch.results()) == 4)

    assert sorted(fake.asked.count(f"{name}") for name in ("slow hourly", "fast minutely")) == [2, 2]


async def test_queries_are_due_when_the_server_is_another() -> None:
    """Also if no ping failed in between."""
    fake, hourly = Fake(), asked("hourly", interval="1h")
    async with Watch(fake, hourly, target=FAST) as watch:
        await watch.until(lambda: len(watch.results()) == 1)
        await watch.polls(2)
        assert len(watch.results()) == 1

        fake.pinged = info(identity="other")
        await watch.until(lambda: len(watch.results()) == 2)


async def test_query_runs_at_its_interval() -> None:
    """At each tick, or at its own longer interval."""
    every = monitored_target(interval=0.04)
    async with Watch(Fake(), asked("a"), asked("b", interval="50s"), target=every) as watch:
        await watch.polls(9)

    assert 5 <= len(watch.results("a")) <= len(watch.of(Poll)) + 1
    assert len(watch.results("b")) == 1


async def test_target_waits_after_a_refused_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three bad passwords lock a Neo4j user out; the failed ping stays fresh during the pause."""
    monkeypatch.setattr(poller, "AUTH_PAUSE", 0.3)
    fake = Fake()
    fake.pinged = PermissionError("no")
    async with Watch(fake, target=FAST) as watch:
        await watch.polls(1)
        before = time.monotonic()
        await watch.polls(1)
        assert 0.25 < time.monotonic() - before < 5

    [first, second] = watch.of(Ping)[:2]
    assert first.fresh_until - before == pytest.approx(30.3, abs=1)
    assert second.error is not None


async def test_slow_query_delays_no_fast_one() -> None:
    """A query that hangs in the slow lane delays no ping and no query of the fast lane."""
    fake = Fake(hourly=HANG)
    async with Watch(fake, asked("hourly", interval="1h"), asked(), target=FAST) as watch:
        await watch.until(lambda: len(watch.results("sizes")) == 4)

    assert fake.asked.count("slow hourly") == 1
    assert fake.most_running == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "fast"),
        ({"interval": "1m"}, "fast"),
        ({"interval": "61s"}, "slow"),
        ({"scope": "database"}, "slow"),
        ({"timeout": "10s"}, "fast"),
        ({"timeout": "10100ms"}, "slow"),
    ],
)
def test_lanes(changes: dict[str, str], expected: str) -> None:
    """Slow are intervals over a minute, queries of each database, and what may take longer than a pass."""
    assert lane(query(**changes)) == expected


async def test_missed_passes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that takes longer than its interval is not followed by another at once."""
    monkeypatch.setattr(poller, "PASS_SHARE", 3.0)
    fake = Fake(sizes=HANG)
    watch = await after(2, fake, asked(timeout="120ms"))

    first, second = watch.of(Poll)[:2]
    assert first.skipped == 0
    assert 2 <= second.skipped == int(first.duration / 0.05)


@pytest.mark.parametrize(
    ("targets", "every", "last"), [(1, 15.0, 0.0), (4, 15.0, 0.3), (1000, 15.0, 4.995), (100, 1.0, 0.99)]
)
def test_targets_start_one_after_another(targets: int, every: float, last: float) -> None:
    """A few at once, hundreds spread over five seconds, and never over more than an interval."""
    delays = [start_delay(place, targets, every) for place in range(targets)]

    assert delays == sorted(set(delays))
    assert delays[-1] == pytest.approx(last)


def test_targets_have_different_phases() -> None:
    """Many targets do not make one burst of load."""
    ticks = {seconds_to_tick(monitored_target(f"db{number}"), 0.0) for number in range(20)}

    assert len(ticks) == 20
    assert all(0 < tick <= 15 for tick in ticks)


def test_ticks_are_pinned_to_wall_time() -> None:
    """They do not drift, and are the same after a restart."""
    target = monitored_target()
    first = seconds_to_tick(target, 1e9)

    assert [seconds_to_tick(target, 1e9 + first + late) for late in (0.0, 1.0, 14.0)] == pytest.approx(
        [15.0, 14.0, 1.0]
    )


def test_early_wake_up_is_no_extra_tick() -> None:
    """Event loops wake slightly early; a second poll a millisecond later would be useless."""
    target = monitored_target()
    first = seconds_to_tick(target, 1e9)

    assert seconds_to_tick(target, 1e9 + first - 0.001) == pytest.approx(15.001)


@pytest.mark.parametrize(("own", "expected"), [(None, 15.0), ("5s", 15.0), ("5m", 300.0)])
def test_interval_is_at_least_that_of_the_target(own: str | None, expected: float) -> None:
    assert interval(query(interval=own), monitored_target()) == expected
