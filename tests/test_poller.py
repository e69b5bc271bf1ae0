"""When a poller asks what, and what it makes of every kind of answer."""

import time
from typing import Any

import pytest

from exporter import poller
from exporter.poller import interval, lane, places, seconds_to_tick
from exporter.query import HealthRule, Query, QueryError
from exporter.server import When
from exporter.snapshot import Ping, Poll, Watched
from tests.fake import HANG, Answer, Fake, Watch
from tests.making import info, plain, query, watched

FAST = watched(interval=0.05)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def asked(name: str = "sizes", timeout: str = "5s", **changes: Any) -> Query:
    return query(name, timeout=timeout, **changes)


def everywhere(name: str = "tables", **changes: Any) -> Query:
    return asked(name, scope="database", labels=(), **changes)


async def after(polls: int, fake: Fake, *queries: Query, target: Watched = FAST) -> Watch:
    """Watch a fake for so many polls; return what was seen."""
    async with Watch(fake, *queries, target=target) as watch:
        await watch.polls(polls)
    return watch


async def test_a_poll_is_a_ping_then_the_queries_in_order() -> None:
    """One after the other, so that a target sees one connection's load."""
    watch = await after(1, Fake(), asked("a"), asked("b"), asked("c"))

    assert watch.fake.asked[:4] == ["ping", "fast a", "fast b", "fast c"]
    assert [type(event).__name__ for event in watch.events[:5]] == ["Ping", "Result", "Result", "Result", "Poll"]
    assert watch.fake.most_running == 1


async def test_rows_become_families() -> None:
    """With the verdict of the query's check, and how long it took."""
    judged = asked(health=HealthRule(check="size", metric="pg_size_bytes", warn_above=10))
    [result, *_] = (await after(1, Fake(sizes=plain({"app": 11.0, "log": 2.0})), judged)).results()

    assert (result.rows, result.families[0].values, result.error) == (2, [11.0, 2.0], None)
    assert result.verdict is not None
    assert result.verdict.status == "warn"
    assert 0 < result.duration < 1
    assert abs(result.finished_at - time.time()) < 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ConnectionResetError("db1.example"), "connect"),
        (PermissionError("no"), "auth"),
        (RuntimeError("syntax error"), "query"),
        (KeyError("a bug of ours"), "query"),
        (QueryError("privilege", "needs pg_monitor"), "privilege"),
        (TimeoutError(), "timeout"),
        (HANG, "timeout"),
        ([{"nothing": 1}], "decode"),
        (plain([("app", 1.0), ("app", 2.0)]), "decode"),
        (plain({str(number): 1.0 for number in range(6)}), "limit"),
    ],
    ids=str,
)
async def test_a_failure_is_a_result(answer: Answer, reason: str) -> None:
    """With a typed reason; the queries after it are asked all the same."""
    watch = await after(1, Fake(sizes=answer), asked(timeout="10ms", max_series=5), asked("next"))

    assert watch.reasons("sizes")[0] == reason
    assert watch.results("sizes")[0].families == ()
    assert watch.reasons("next")[0] is None


async def test_a_query_has_its_own_deadline() -> None:
    """It starts when the query runs, so a slow neighbour takes nothing from it."""
    watch = await after(1, Fake(a=HANG, b=HANG), asked("a", "10ms"), asked("b", "10ms"))

    assert all(0.009 < result.duration < 0.1 for result in watch.results())
    assert watch.reasons()[:2] == ["timeout", "timeout"]


async def test_a_pass_has_a_deadline() -> None:
    """What does not fit into it is asked first in the next, and nothing runs into the next tick."""
    watch = await after(2, Fake(a=HANG), asked("a"), asked("b"))

    assert watch.fake.asked[:4] == ["ping", "fast a", "ping", "fast b"]
    assert all(poll.duration < 0.05 for poll in watch.of(Poll))
    assert watch.fake.most_running == 1


async def test_a_ping_that_hangs_is_a_timeout() -> None:
    """Within the pass's deadline, and without one question more."""
    fake = Fake()
    fake.pinged = HANG
    watch = await after(2, fake, asked())

    assert set(fake.asked) == {"ping"}
    assert [ping.error.reason for ping in watch.of(Ping) if ping.error] == ["timeout"] * len(watch.of(Ping))


async def test_a_server_that_is_down_is_only_pinged() -> None:
    """At the usual interval, however long it takes; one success is enough to go on."""
    fake = Fake()
    fake.pinged = OSError("refused")
    async with Watch(fake, asked(), target=FAST) as watch:
        await watch.polls(4)
        assert set(fake.asked) == {"ping"}

        fake.pinged = info()
        await watch.polls(2)

    assert "fast sizes" in fake.asked


async def test_recovery_asks_everything_at_once() -> None:
    """Its series are gone, so what is asked every hour is due as well."""
    fake, hourly, minutely = Fake(), asked("hourly", interval="1h"), asked("minutely", interval="1m")
    async with Watch(fake, hourly, minutely, target=FAST) as watch:
        await watch.until(lambda: len(watch.results()) == 2)
        fake.pinged = OSError("refused")
        await watch.polls(2)
        assert len(watch.results()) == 2

        fake.pinged = info()
        await watch.until(lambda: len(watch.results()) == 4)

    assert sorted(fake.asked.count(f"{name}") for name in ("slow hourly", "fast minutely")) == [2, 2]


async def test_a_query_is_asked_at_its_interval() -> None:
    """At every tick, or at the tick nearest to its own interval."""
    every = watched(interval=0.04)
    async with Watch(Fake(), asked("a"), asked("b", interval="80ms"), target=every) as watch:
        await watch.polls(9)

    assert len(watch.results("a")) in (9, 10)
    assert len(watch.results("b")) in (3, 4, 5, 6)


async def test_after_a_refused_password_a_target_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three bad passwords lock a Neo4j user out for everybody; what it last said stays fresh meanwhile."""
    monkeypatch.setattr(poller, "_AUTH_PAUSE", 0.3)
    fake = Fake()
    fake.pinged = PermissionError("no")
    async with Watch(fake, target=FAST) as watch:
        await watch.polls(1)
        before = time.monotonic()
        await watch.polls(1)
        assert 0.25 < time.monotonic() - before < 0.6

    [first, second] = watch.of(Ping)[:2]
    assert first.fresh_until - before == pytest.approx(30.3, abs=0.1)
    assert second.error is not None


async def test_what_takes_long_has_a_lane_of_its_own() -> None:
    """A query that hangs there delays no ping and no query of the fast lane."""
    fake = Fake(hourly=HANG)
    async with Watch(fake, asked("hourly", interval="1h"), asked(), target=FAST) as watch:
        await watch.polls(4)

    assert fake.asked.count("slow hourly") == 1
    assert len(watch.results("sizes")) >= 4
    assert fake.most_running == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "fast"), ({"interval": "1m"}, "fast"), ({"interval": "61s"}, "slow"), ({"scope": "database"}, "slow")],
)
def test_lanes(changes: dict[str, str], expected: str) -> None:
    """Seldom means over a minute; every database means many."""
    assert lane(query(**changes)) == expected


async def test_a_query_of_scope_database_visits_them_one_by_one() -> None:
    """Database by database, each result with its label."""
    watch = await after(2, Fake(tables=[{"bytes": 1.0}], more=[{"bytes": 2.0}]), everywhere(), everywhere("more"))

    assert [place for place in watch.fake.asked if " in " in place][:4] == [
        "slow tables in app", "slow more in app", "slow tables in log", "slow more in log"
    ]  # fmt: skip
    assert [(result.database, result.families[0].labels) for result in watch.results("tables")[:2]] == [
        ("app", [(("datname", "app"),)]), ("log", [(("datname", "log"),)])
    ]  # fmt: skip


def test_globs_choose_databases() -> None:
    """A users' file may be for some of them."""
    mine, other = everywhere("mine", databases=("app*", "l?g")), everywhere("other", databases=("x",))

    assert places([mine, other], ["app", "app2", "log", "template1"]) == [
        (mine, "app"), (mine, "app2"), (mine, "log")
    ]  # fmt: skip


async def test_databases_that_cannot_be_listed_fail_their_queries() -> None:
    """Silence would look like no databases at all."""
    fake = Fake()
    fake.names = QueryError("privilege", "no list for you")
    watch = await after(2, fake, everywhere())

    assert (watch.reasons()[0], watch.results()[0].database) == ("privilege", None)


@pytest.mark.parametrize(
    ("opening", "reason"), [(RuntimeError("bug"), "query"), (OSError("gone"), "connect"), (HANG, "timeout")], ids=str
)
async def test_a_session_that_explodes_fails_its_queries(
    opening: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is their failure, not the process's end."""
    monkeypatch.setattr(poller, "_PING_TIMEOUT", 0.02)
    fake = Fake()
    fake.opening = opening
    watch = await after(2, fake, asked("a"), asked("b"))

    assert watch.reasons("a")[:2] == watch.reasons("b")[:2] == [reason, reason]


async def test_a_session_that_explodes_while_closing_is_nobodys_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are there already; and one that hangs does not stop the next poll."""
    monkeypatch.setattr(poller, "_CLOSE_TIMEOUT", 0.01)
    for closing in (RuntimeError("bug"), HANG):
        fake = Fake()
        fake.closing = closing
        watch = await after(2, fake, asked())

        assert watch.reasons()[:2] == [None, None]


async def test_a_query_this_server_cannot_answer_is_not_asked() -> None:
    """It is unsupported, and says why."""
    watch = await after(1, Fake(), asked(when=When(version=">=16")))

    assert (watch.reasons()[0], str(watch.results()[0].error)) == ("unsupported", "needs version >=16")
    assert set(watch.fake.asked) == {"ping"}


async def test_a_crash_of_our_own_is_not_hidden() -> None:
    """A failure that is nobody's answer ends the poller, and with it the process."""
    async with Watch(Fake(), asked(), target=FAST) as watch:
        await watch.polls(1)
        watch.failing = ZeroDivisionError("a bug")

        assert isinstance(await watch.crashed(), ExceptionGroup)
    assert watch.fake.left == 1


async def test_the_datastore_is_left_at_the_end() -> None:
    """Once, so that every connection is closed."""
    watch = await after(1, Fake())

    assert (watch.fake.entered, watch.fake.left) == (1, 1)


async def test_passes_that_were_missed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that took longer than its interval is followed by no second one at once."""
    monkeypatch.setattr(poller, "_PASS_SHARE", 3.0)
    fake = Fake(sizes=HANG)
    watch = await after(2, fake, asked(timeout="120ms"))

    assert [poll.skipped for poll in watch.of(Poll)[:2]] == [0, 2]


async def test_two_targets_poll_at_different_moments() -> None:
    """The phase is the target's own, so that many targets do not make one burst."""
    ticks = {seconds_to_tick(watched(f"db{number}"), 0.0) for number in range(20)}

    assert len(ticks) == 20
    assert all(0 < tick <= 15 for tick in ticks)


def test_ticks_are_pinned_to_wall_time() -> None:
    """They do not drift, however long polls take, and a restart keeps them."""
    target = watched()
    first = seconds_to_tick(target, 1e9)

    assert [seconds_to_tick(target, 1e9 + first + late) for late in (0.0, 1.0, 14.0)] == pytest.approx(
        [15.0, 14.0, 1.0]
    )


def test_a_wake_up_just_before_a_tick_is_that_tick() -> None:
    """Event loops wake a little early; a second poll a millisecond later would be no news."""
    target = watched()
    first = seconds_to_tick(target, 1e9)

    assert seconds_to_tick(target, 1e9 + first - 0.001) == pytest.approx(15.001)


@pytest.mark.parametrize(("own", "expected"), [(None, 15.0), ("5s", 15.0), ("5m", 300.0)])
def test_no_query_is_asked_more_often_than_its_target_is_polled(own: str | None, expected: float) -> None:
    assert interval(query(interval=own), watched()) == expected


async def test_a_cancelled_poller_ends_at_once() -> None:
    """Whatever it is waiting for."""
    fake = Fake(hourly=HANG)
    async with Watch(fake, asked("hourly", interval="1h"), target=watched(interval=60.0)) as watch:
        await watch.polls(1)
        began = time.monotonic()

    assert time.monotonic() - began < 0.5
    assert fake.left == 1
