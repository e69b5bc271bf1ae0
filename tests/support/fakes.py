"""A fake server whose answers, errors and delays a test sets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from exporter.datastores.base import Lane, Session
from exporter.errors import Reason
from exporter.polling.poller import Poller
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query, Row
from exporter.state.events import Event, MonitoredTarget, Ping, Poll, Result
from tests.support.factories import info, monitored_target, plain, query

HANG = TimeoutError("hang")  # an answer that never comes
_E = TypeVar("_E", Ping, Poll, Result)
Answer = Sequence[Row] | Exception


async def give(answer: Answer | ServerInfo) -> Answer | ServerInfo:
    if answer is HANG:
        await asyncio.Event().wait()
    if isinstance(answer, Exception):
        raise answer
    return answer


class Fake:
    """Answer each query by its name; record the calls in `asked`, in order.

    An answer is rows, an exception to raise, or HANG. `opening` and `closing` are raised by sessions.
    """

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.pinged: ServerInfo | Exception = info()
        self.names: Sequence[str] | Exception = ("app", "log", "template1")
        self.opening: Exception | None = None
        self.closing: Exception | None = None
        self.seconds = 0.0  # what an answer takes
        self.login_seconds = 0.0  # what a session takes to open
        self.refusing: Exception | None = None  # what the slow lane gets instead of an answer
        self.hanging: set[str] = set()  # databases that never answer
        self.asked: list[str] = []
        self.running = 0
        self.most_running = 0
        self.clock_skew: float | None = None
        self.entered = 0
        self.left = 0

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left += 1

    async def ping(self) -> ServerInfo:
        self.asked.append("ping")
        pinged = await give(self.pinged)
        assert isinstance(pinged, ServerInfo)
        return pinged

    async def databases(self) -> Sequence[str]:
        if isinstance(self.names, Exception):
            raise self.names
        return self.names

    @asynccontextmanager
    async def session(self, lane: Lane) -> AsyncIterator[Session]:
        if self.opening is not None:
            await give(self.opening)
        await asyncio.sleep(self.login_seconds if lane == "slow" else 0.0)
        yield _Session(self, lane)
        if self.closing is not None:
            await give(self.closing)

    def reason(self, error: BaseException) -> Reason:
        return "auth" if isinstance(error, PermissionError) else "connect" if isinstance(error, OSError) else "query"


class _Session:
    def __init__(self, fake: Fake, lane: Lane) -> None:
        self._fake, self._lane = fake, lane

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        fake = self._fake
        fake.asked.append(f"{self._lane} {query.name}" + (f" in {database}" if database else ""))
        fake.running += 1
        fake.most_running = max(fake.most_running, fake.running)
        try:
            await asyncio.sleep(fake.seconds)
            if self._lane == "slow" and fake.refusing is not None:
                raise fake.refusing
            rows = await give(HANG if database in fake.hanging else fake.answers.get(query.name, plain({"app": 1.0})))
        finally:
            fake.running -= 1
        assert not isinstance(rows, ServerInfo)
        return rows  # type: ignore[return-value]  # give() raises what is an exception


class Watch:
    """Poll a fake while in the block, and keep what the poller published."""

    def __init__(self, fake: Fake, *queries: Query, target: MonitoredTarget) -> None:
        self.fake = fake
        self.events: list[Event] = []
        self.failing: Exception | None = None
        self._poller = Poller(target, fake, queries, self._publish)
        self._task: asyncio.Task[None] | None = None

    def _publish(self, event: Event) -> None:
        if self.failing is not None:
            raise self.failing
        self.events.append(event)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._poller.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def crashed(self) -> BaseException | None:
        """Wait until the poller ends by itself; return why."""
        assert self._task is not None
        await asyncio.wait([self._task], timeout=2)
        return self._task.exception()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something was published that makes a condition true."""
        async with asyncio.timeout(5):
            while not condition():
                assert self._task is not None
                assert not self._task.done()
                await asyncio.sleep(0.002)

    async def polls(self, count: int) -> None:
        """Wait for so many more polls."""
        wanted = len(self.of(Poll)) + count
        await self.until(lambda: len(self.of(Poll)) >= wanted)

    def of(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if isinstance(event, kind)]

    def results(self, name: str | None = None) -> list[Result]:
        return [result for result in self.of(Result) if name in (None, result.query.name)]

    def reasons(self, name: str | None = None) -> list[Reason | None]:
        """Return the error of each result."""
        return [result.error.reason if result.error else None for result in self.results(name)]


FAST = monitored_target(interval=0.05)


def asked(name: str = "sizes", timeout: str = "5s", **changes: Any) -> Query:
    return query(name, timeout=timeout, **changes)


def everywhere(name: str = "tables", **changes: Any) -> Query:
    return asked(name, scope="database", labels=(), **changes)


async def one_poll(fake: Fake, *queries: Query) -> Watch:
    """Watch a fake's first poll, which has all the time it wants; return what was seen."""
    return await after(1, fake, *queries, target=monitored_target())


async def after(polls: int, fake: Fake, *queries: Query, target: MonitoredTarget = FAST) -> Watch:
    """Watch a fake for so many polls."""
    async with Watch(fake, *queries, target=target) as watch:
        await watch.polls(polls)
    return watch


async def seen(results: int, fake: Fake, *queries: Query, target: MonitoredTarget | None = None) -> Watch:
    """Watch a fake until there are so many results."""
    async with Watch(fake, *queries, target=target or monitored_target()) as watch:
        await watch.until(lambda: len(watch.results()) >= results)
    return watch
