"""Targets with more queries than there is time for: urgent ones come first, and series do not come and go."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from exporter.errors import NoSessionError, QueryError, Reason
from exporter.health.report import report
from exporter.queries.query import Query
from exporter.state.events import Event, Instant, Poll
from exporter.state.snapshot import Snapshot
from tests.support.factories import info, monitored_target
from tests.support.fakes import Fake, Watch, asked, everywhere
from tests.support.virtual_time import virtual_time

MANY = [f"db{number:03}" for number in range(40)]
MINUTELY = [everywhere(f"minutely{number}", interval="1m") for number in range(6)]
SELDOM = [everywhere(f"five{number}", interval="5m") for number in range(8)]
SELDOM += [everywhere(f"quarterly{number}", interval="15m") for number in range(14)]
SERVER = [asked("size", interval="5m"), asked("fast")]


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> object:
    return virtual_time(monkeypatch)


class Far(Fake):
    """A distant server with many databases: a login takes five round trips, a query one."""

    def __init__(self, seconds: float, names: Sequence[str] = MANY) -> None:
        super().__init__()
        self.seconds = seconds
        self.login_seconds = 5 * seconds
        self.names = names


class Seen(Watch):
    """Track the results that /metrics would serve; `gone` are those that vanished at a later poll."""

    def __init__(self, fake: Fake, *queries: Query) -> None:
        self.target = monitored_target()
        self.snapshot = Snapshot([self.target], Instant(0.0, 0.0))
        self.gone: set[tuple[str, str | None]] = set()
        self.known: set[tuple[str, str | None]] = set()
        super().__init__(fake, *queries, target=self.target)

    def _publish(self, event: Event) -> None:
        super()._publish(event)
        self.snapshot.apply(event)
        if isinstance(event, Poll):
            status = self.snapshot.status["orders"]
            moment = status.fresh_until - 37.5 + event.duration
            now = {(result.query.name, result.database) for result in self.snapshot.fresh_results("orders", moment)}
            self.gone |= self.known - now
            self.known |= now

    @property
    def check(self) -> dict[str, object]:
        status = self.snapshot.status["orders"]
        body = report(self.snapshot, Instant(status.attempted_at or 0.0, status.fresh_until - 37.5))
        [found] = body["checks"]["orders:overrun"]
        return found  # type: ignore[no-any-return]

    async def minutes(self, count: int) -> None:
        await asyncio.sleep(60 * count)


async def test_many_distant_databases_keep_their_series() -> None:
    """After one round all have series, those with short intervals first, and keep them."""
    async with Seen(Far(0.1), *MINUTELY, *SELDOM, *SERVER) as watch:
        await watch.minutes(2)
        assert {place for name, place in watch.known if name.startswith("minutely")} == set(MANY)
        assert ("size", None) in {(result.query.name, result.database) for result in watch.results()[:30]}
        await watch.minutes(10)

    assert watch.gone == set()
    assert len(watch.known) == 28 * len(MANY) + 2
    assert watch.check["status"] == "pass"


async def test_overrun_is_reported_and_series_are_kept() -> None:
    """The check names the late queries and how often they really run, until the target keeps up again."""
    fake = Far(0.6)
    async with Seen(fake, *MINUTELY, *SERVER) as watch:
        await watch.minutes(20)
        assert watch.gone == set()
        assert len(watch.known) == 6 * len(MANY) + 2
        late = watch.check
        assert (late["status"], late["observedValue"]) == ("warn", 6.0)
        assert "minutely0 (every 4 min)" in str(late["output"])
        assert watch.of(Poll)[-1].periods["minutely0"] == pytest.approx(len(MANY) * 11 * 0.6, rel=0.2)
        assert watch.of(Poll)[-1].periods["fast"] == pytest.approx(15, abs=1)

        fake.seconds = fake.login_seconds = 0.001
        await watch.minutes(10)

    assert watch.check["status"] == "pass"


async def test_fast_lane_of_several_passes_keeps_its_series() -> None:
    """At a second each, sixty queries take five passes."""
    async with Seen(Far(1.0, ()), *[asked(f"q{number:02}") for number in range(60)]) as watch:
        await watch.minutes(10)

    assert watch.gone == set()
    assert len(watch.known) == 60
    assert watch.check["status"] == "warn"


async def test_hanging_database_delays_no_other() -> None:
    """Three timeouts in a row end a visit."""
    fake = Far(0.01, MANY[:20])
    fake.hanging = {"db007"}
    async with Seen(fake, *MINUTELY, *SELDOM, *SERVER) as watch:
        await watch.minutes(10)

    series = {(result.query.name, result.database) for result in watch.results() if result.error is None}
    assert len(series) == 28 * 19 + 2
    assert watch.check["status"] == "pass"


@pytest.mark.parametrize("reason", ["connect", "auth", "limit"])
async def test_query_without_session_is_due_at_the_next_poll(reason: Reason) -> None:
    """Not after its interval of 15 minutes; and each pass tries only one login."""
    fake = Far(0.01, MANY[:5])
    fake.refusing = NoSessionError(reason, "too many connections for role")
    async with Seen(fake, *SELDOM, asked("size", interval="5m")) as watch:
        await watch.minutes(1)
        assert set(watch.reasons()) == {reason}
        assert sum(question.startswith("slow") for question in fake.asked) <= 5
        fake.refusing = None
        await watch.minutes(1)

    assert {result.query.name for result in watch.results() if result.error is None} == {
        "size", *(query.name for query in SELDOM)
    }  # fmt: skip


async def test_session_is_opened_again_at_the_next_poll() -> None:
    fake = Far(0.01, ())
    fake.opening = QueryError("connect", "gone")
    async with Seen(fake, asked("hourly", interval="1h"), asked("minutely", interval="1m")) as watch:
        await asyncio.sleep(30)
        assert set(watch.reasons()) == {"connect"}
        fake.opening = None
        await asyncio.sleep(30)

    assert [watch.reasons(name)[-1] for name in ("hourly", "minutely")] == [None, None]


async def test_failed_query_is_retried_with_growing_pauses() -> None:
    """A single lock timeout must not cost an hour, and a query that always fails must not run at each poll."""
    fake = Far(0.01, ())
    fake.answers = {"hourly": QueryError("timeout", "locked")}
    async with Seen(fake, asked("hourly", interval="1h")) as watch:
        await watch.minutes(60)
        tries = len(watch.results("hourly"))
        fake.answers = {}
        await watch.minutes(61)

    assert 5 <= tries <= 10
    assert watch.reasons("hourly")[tries:] == [None]


@pytest.mark.parametrize(
    "change",
    [{"role": "replica"}, {"version": "16.1"}, {"missing_privileges": {"pg_monitor": "GRANT"}},
     {"capabilities": {"statements": ""}}, {"started_at": 99.0}],
    ids=str,
)  # fmt: skip
async def test_changed_server_makes_all_queries_due(change: dict[str, object]) -> None:
    """Results of a primary are wrong for a replica, and a new privilege should count before an hour has passed."""
    fake = Far(0.01, ())
    fake.pinged = info(role="primary", started_at=5.0)
    async with Seen(fake, asked("hourly", interval="1h"), asked("minutely", interval="1m")) as watch:
        await asyncio.sleep(30)
        assert [len(watch.results(name)) for name in ("hourly", "minutely")] == [1, 1]
        fake.pinged = replace(info(role="primary", started_at=5.0), **change)  # type: ignore[arg-type]
        await asyncio.sleep(30)
        assert [len(watch.results(name)) for name in ("hourly", "minutely")] == [2, 2]
        await asyncio.sleep(30)

    assert [len(watch.results(name)) for name in ("hourly", "minutely")] == [2, 2]


async def test_inexact_start_time_is_no_restart() -> None:
    """MinIO reports its uptime in whole seconds."""
    fake = Far(0.01, ())
    fake.pinged = info(started_at=5.0)
    async with Seen(fake, asked("hourly", interval="1h")) as watch:
        await asyncio.sleep(30)
        fake.pinged = info(started_at=6.1)
        await asyncio.sleep(30)

    assert len(watch.results("hourly")) == 1


async def test_reappearing_database_is_due_at_once() -> None:
    """Whatever the intervals of its queries."""
    fake = Far(0.01, ["a", "b"])
    async with Seen(fake, *SELDOM) as watch:
        await watch.minutes(1)
        fake.names = ["a"]
        await watch.minutes(1)
        before = len(watch.results())
        fake.names = ["a", "b"]
        await watch.minutes(1)

    assert {result.database for result in watch.results()[before:]} == {"b"}
    assert len(watch.results()) - before == len(SELDOM)
