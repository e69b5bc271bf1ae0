"""What a poller publishes for each kind of answer."""

import errno
import time

import pytest

from exporter.errors import QueryError
from exporter.polling import execution, poller
from exporter.polling.schedule import database_visits
from exporter.queries.conditions import Conditions
from exporter.queries.health_rule import HealthRule
from exporter.state.events import Ping, Poll
from tests.support.factories import info, monitored_target, plain
from tests.support.fakes import FAST, HANG, Answer, Fake, Watch, after, asked, everywhere, one_poll, seen
from tests.support.virtual_time import virtual_time


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> object:
    return virtual_time(monkeypatch)


async def test_poll_is_a_ping_then_the_queries_in_order() -> None:
    """One after another, so that a target has the load of one connection."""
    watch = await one_poll(Fake(), asked("a"), asked("b"), asked("c"))

    assert watch.fake.asked[:4] == ["ping", "fast a", "fast b", "fast c"]
    assert [type(event).__name__ for event in watch.events[:5]] == ["Ping", "Result", "Result", "Result", "Poll"]
    assert watch.fake.most_running == 1


async def test_rows_become_families() -> None:
    """With the outcome of the check of the query, and its duration."""
    judged = asked(health=HealthRule(check="size", metric="pg_size_bytes", warn_above=10))
    fake = Fake(sizes=plain({"app": 11.0, "log": 2.0}))
    fake.seconds = 0.25
    [result, *_] = (await one_poll(fake, judged)).results()

    assert (result.rows, result.families[0].values, result.error) == (2, [11.0, 2.0], None)
    assert [(outcome.check, outcome.status) for outcome in result.outcomes] == [("size", "warn")]
    assert result.duration == pytest.approx(0.25)
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
async def test_failure_is_a_result(answer: Answer, reason: str) -> None:
    """With a typed reason; the next queries run all the same."""
    timeout = "10ms" if answer is HANG else "5s"
    watch = await one_poll(Fake(sizes=answer), asked(timeout=timeout, max_series=5), asked("next"))

    assert watch.reasons("sizes")[0] == reason
    assert watch.results("sizes")[0].families == ()
    assert watch.reasons("next")[0] is None


async def test_query_has_its_own_deadline() -> None:
    """It starts when the query runs, so a slow query before it does not shorten it."""
    watch = await one_poll(Fake(a=HANG, b=HANG), asked("a", "10ms"), asked("b", "10ms"))

    assert [result.duration for result in watch.results()] == pytest.approx([0.01, 0.01])
    assert watch.reasons()[:2] == ["timeout", "timeout"]


async def test_pass_has_a_deadline() -> None:
    """Queries that do not fit run first in the next pass, and no pass runs into the next tick."""
    watch = await after(2, Fake(a=HANG), asked("a"), asked("b"))

    assert watch.fake.asked[:4] == ["ping", "fast a", "ping", "fast b"]
    assert all(poll.duration < 1 for poll in watch.of(Poll))
    assert watch.fake.most_running == 1


async def test_query_without_enough_time_runs_first_in_the_next_pass() -> None:
    """Not at its own interval: it would have no series for that long."""
    fake = Fake(a=HANG, b=HANG)
    async with Watch(
        fake, asked("a", "300ms"), asked("b", interval="50s"), target=monitored_target(interval=0.5)
    ) as watch:
        await watch.polls(1)
        fake.answers = {}
        await watch.until(lambda: None in watch.reasons("b"))

    assert watch.reasons("b")[0] == "timeout"
    assert fake.asked[:5] == ["ping", "fast a", "fast b", "ping", "fast b"]


async def test_hanging_ping_is_a_timeout() -> None:
    """Within the deadline of the pass, and no query runs."""
    fake = Fake()
    fake.pinged = HANG
    watch = await after(2, fake, asked())

    assert set(fake.asked) == {"ping"}
    assert [ping.error.reason for ping in watch.of(Ping) if ping.error] == ["timeout"] * len(watch.of(Ping))


async def test_ping_reports_a_local_fault() -> None:
    """Beside its reason: the state of the server is unknown then."""
    fake = Fake()
    fake.pinged = OSError(errno.EMFILE, "Too many open files")
    [ping] = (await one_poll(fake)).of(Ping)

    assert (ping.error and ping.error.reason, ping.fault) == ("connect", "resources")


async def test_server_that_is_down_is_only_pinged() -> None:
    """At the usual interval; after one successful ping the queries run again."""
    fake = Fake()
    fake.pinged = OSError("refused")
    async with Watch(fake, asked(), target=FAST) as watch:
        await watch.polls(4)
        assert set(fake.asked) == {"ping"}

        fake.pinged = info()
        await watch.polls(2)

    assert "fast sizes" in fake.asked


async def test_query_of_scope_database_visits_one_after_another() -> None:
    """Database by database, each result with its label."""
    fake = Fake(tables=[{"bytes": 1.0}], more=[{"bytes": 2.0}])
    fake.names = ("app", "log")
    watch = await seen(4, fake, everywhere(), everywhere("more"))

    assert [place for place in watch.fake.asked if " in " in place][:4] == [
        "slow tables in app", "slow more in app", "slow tables in log", "slow more in log"
    ]  # fmt: skip
    assert [(result.database, result.families[0].labels) for result in watch.results("tables")[:2]] == [
        ("app", [(("datname", "app"),)]), ("log", [(("datname", "log"),)])
    ]  # fmt: skip


def test_globs_choose_databases() -> None:
    """A users' file may be for some of them."""
    mine, other = everywhere("mine", databases=("app*", "l?g")), everywhere("other", databases=("x",))

    assert database_visits([mine, other], ["app", "app2", "log", "template1"]) == [
        (mine, "app"), (mine, "app2"), (mine, "log")
    ]  # fmt: skip


async def test_failed_discovery_fails_the_queries() -> None:
    """Without results it would look like a server without databases."""
    fake = Fake()
    fake.names = QueryError("privilege", "no list for you")
    watch = await seen(1, fake, everywhere())

    assert (watch.reasons()[0], watch.results()[0].database) == ("privilege", None)


@pytest.mark.parametrize(
    ("opening", "reason"), [(RuntimeError("bug"), "query"), (OSError("gone"), "connect"), (HANG, "timeout")], ids=str
)
async def test_failed_session_fails_its_queries(
    opening: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is their failure, not the process's end."""
    monkeypatch.setattr(poller, "PING_SECONDS", 0.02)
    fake = Fake()
    fake.opening = opening
    watch = await seen(4, fake, asked("a"), asked("b"), target=FAST)

    assert watch.reasons()[:4] == [reason] * 4


async def test_hanging_session_ends_with_its_pass() -> None:
    """Its deadline lies within that of the pass."""
    fake = Fake()
    fake.opening = HANG
    watch = await after(1, fake, asked(), target=FAST)

    assert watch.reasons()[0] == "timeout"
    assert watch.of(Poll)[0].duration < 1


async def test_error_while_closing_a_session_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The results are complete by then; a close that hangs does not stop the next poll."""
    monkeypatch.setattr(execution, "CLOSE_SECONDS", 0.01)
    for closing in (RuntimeError("bug"), HANG):
        fake = Fake()
        fake.closing = closing
        watch = await seen(3, fake, asked(), target=FAST)

        assert watch.reasons()[:3] == [None] * 3


async def test_unsupported_query_does_not_run() -> None:
    """Its result is unsupported, with the reason."""
    watch = await one_poll(Fake(), asked(when=Conditions(version=">=16")))

    assert (watch.reasons()[0], str(watch.results()[0].error)) == ("unsupported", "needs version >=16")
    assert set(watch.fake.asked) == {"ping"}


async def test_crash_of_the_poller_is_raised() -> None:
    """An error outside a query ends the poller, and with it the process."""
    async with Watch(Fake(), asked(), target=FAST) as watch:
        await watch.polls(1)
        watch.failing = ZeroDivisionError("a bug")

        assert isinstance(await watch.crashed(), ExceptionGroup)
    assert watch.fake.left == 1


async def test_datastore_is_closed_at_the_end() -> None:
    """Once, so that every connection is closed."""
    watch = await one_poll(Fake())

    assert (watch.fake.entered, watch.fake.left) == (1, 1)


async def test_cancelled_poller_ends_at_once() -> None:
    """Whatever it is waiting for."""
    fake = Fake(hourly=HANG)
    async with Watch(fake, asked("hourly", interval="1h"), target=monitored_target(interval=60.0)) as watch:
        await watch.polls(1)
        began = time.monotonic()

    assert time.monotonic() - began < 0.5
    assert fake.left == 1
