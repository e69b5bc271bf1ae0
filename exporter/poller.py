"""One task group a target: a fast lane that pings and asks what is due, a slow lane for what takes long."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from exporter.datastores.base import Datastore, Lane, Session
from exporter.events import Event, Ping, Poll, Result, Watched, fresh_seconds
from exporter.local_fault import LocalFault, local_fault
from exporter.query import DATABASE_LABELS, Query, QueryError, Reason, unsupported
from exporter.schedule import interval, lane, places, seconds_to_tick
from exporter.server import ServerInfo
from exporter.verdict import DURATION, Verdict

_T = TypeVar("_T")
Publish = Callable[[Event], None]

_PING_TIMEOUT = 5.0
_PASS_SHARE = 0.8  # of the interval: what a fast pass may take
_PASS_LIMIT = 10.0
_LEAST_SHARE = 0.05  # of the interval: with less time left, a query waits for the next pass
_CLOSE_TIMEOUT = 2.0
_AUTH_PAUSE = 60.0  # three bad passwords lock a Neo4j user out for everybody


@dataclass(frozen=True, slots=True)
class Question:
    """One query to be asked once, of a server known by its last ping, within so many seconds."""

    target: Watched
    query: Query
    database: str | None
    info: ServerInfo
    seconds: float


async def attempt(work: Callable[[], Awaitable[_T]], seconds: float, reason: Callable[[BaseException], Reason]) -> _T:
    """Await work within a deadline; raise QueryError, and nothing else, for whatever goes wrong.

    This is the only blanket except of the product, and the deadline of every ping and query; a store's own shorter
    ones, for a farewell or a page that may hang, lie within it.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work()
    except QueryError:
        raise
    except TimeoutError:
        raise QueryError("timeout", f"no answer within {seconds:.1f} s") from None
    except Exception as error:
        raise QueryError(reason(error), f"{type(error).__name__}: {error}") from error


async def run(question: Question, session: Session, datastore: Datastore) -> Result:
    """Ask a question; a failure is a result, too."""
    target, query, database = question.target, question.query, question.database
    began = time.perf_counter()

    async def ask() -> dict[str, Any]:
        if error := unsupported(query, question.info):
            raise error
        rows = await session.fetch(_within(query, question.seconds), database)
        extra = () if database is None else ((DATABASE_LABELS[query.store], database),)
        families = tuple(query.samples(rows, extra))
        verdict = query.verdict(rows, families, time.perf_counter() - began)
        return {"rows": len(rows), "families": families, "verdict": verdict, "findings": query.named(rows)}

    def result(**outcome: Any) -> Result:
        duration = time.perf_counter() - began
        fresh_until = time.monotonic() + fresh_seconds(interval(query, target))
        return Result(target.name, query, database, time.time(), fresh_until, duration, **outcome)

    try:
        return result(**await attempt(ask, question.seconds, datastore.reason))
    except QueryError as error:
        return result(error=error, verdict=failed_canary(query, error))


def failed_canary(query: Query, error: QueryError) -> Verdict | None:
    """Judge a query whose time has a limit and that did not even end well; None for all others."""
    canary = query.health is not None and query.health.metric == DURATION and error.reason != "unsupported"
    return Verdict(query.health, "fail", None) if query.health and canary else None


def _within(query: Query, seconds: float) -> Query:
    """Tell the server, too, that less time is left than the query may take: a deadline of ours costs the connection."""
    return query if seconds >= query.timeout else query.model_copy(update={"timeout": seconds})


def failure(target: Watched, query: Query, error: QueryError) -> Result:
    """Make the result of a query that could not even be asked."""
    fresh_until = time.monotonic() + fresh_seconds(interval(query, target))
    return Result(target.name, query, None, time.time(), fresh_until, 0.0, error=error)


@asynccontextmanager
async def opened(datastore: Datastore, lane: Lane, seconds: float = _PING_TIMEOUT) -> AsyncIterator[Session]:
    """Open a session within a deadline; raise QueryError where that fails. How it closes is nobody's trouble."""
    manager = datastore.session(lane)
    session = await attempt(manager.__aenter__, seconds, datastore.reason)
    try:
        yield session
    finally:
        with suppress(QueryError):
            await attempt(lambda: manager.__aexit__(None, None, None), _CLOSE_TIMEOUT, datastore.reason)


class Poller:
    """Poll one target for ever; every outcome goes to `publish`, none raises."""

    def __init__(self, target: Watched, datastore: Datastore, queries: Sequence[Query], publish: Publish) -> None:
        self._target = target
        self._datastore = datastore
        self._queries = queries
        self._publish = publish
        self._pass_seconds = min(_PASS_SHARE * target.interval, _PASS_LIMIT)
        self._info: ServerInfo | None = None
        self._up = asyncio.Event()
        self._due: dict[str, float] = {}
        self._missteps: dict[str, QueryError] = {}

    async def watch(self) -> None:
        """Run the lanes until cancelled, then close the datastore."""
        stepping = [query for query in self._queries if query.step_every is not None]
        fast = [query for query in self._queries if lane(query) == "fast"]
        slow = [query for query in self._queries if lane(query) == "slow"]
        async with self._datastore, asyncio.TaskGroup() as lanes:
            lanes.create_task(self._fast_lane(fast), name=f"{self._target.name} fast")
            if slow:
                lanes.create_task(self._slow_lane(slow), name=f"{self._target.name} slow")
            if stepping:
                lanes.create_task(self._sampler_lane(stepping), name=f"{self._target.name} sampler")

    async def _fast_lane(self, queries: Sequence[Query]) -> None:
        skipped = 0
        while True:
            began = time.monotonic()
            error = await self._fast_pass(queries)
            took = time.monotonic() - began
            self._publish(Poll(self._target.name, time.time(), took, skipped))
            pause = max(0.0, _AUTH_PAUSE - took) if error and error.reason == "auth" else 0.0
            skipped = int(took / self._target.interval)
            await asyncio.sleep(pause + seconds_to_tick(self._target, time.time() + pause))

    async def _fast_pass(self, queries: Sequence[Query]) -> QueryError | None:
        """Ping, then ask what is due; return the ping's error."""
        deadline = time.monotonic() + self._pass_seconds
        error = await self._ping(deadline)
        if error is not None:
            self._up.clear()
            return error
        if not self._up.is_set():
            self._due.clear()  # all series are gone: what was asked before the outage is due again
            self._up.set()
        await self._pass("fast", queries, deadline)
        return None

    async def _ping(self, deadline: float) -> QueryError | None:
        began = time.perf_counter()
        error: QueryError | None = None
        fault: LocalFault | None = None
        try:
            seconds = min(_PING_TIMEOUT, deadline - time.monotonic())
            info = await attempt(self._datastore.ping, seconds, self._datastore.reason)
            if self._info and info.identity != self._info.identity:
                self._due.clear()  # what is known is another server's
            self._info = info
        except QueryError as failed:
            self._info, error, fault = None, failed, local_fault(failed)
        duration = time.perf_counter() - began
        pause = _AUTH_PAUSE if error and error.reason == "auth" else 0.0
        fresh_until = time.monotonic() + fresh_seconds(self._target.interval) + pause
        skew = self._datastore.clock_skew
        self._publish(Ping(self._target.name, time.time(), fresh_until, duration, self._info, error, fault, skew))
        return error

    async def _slow_lane(self, queries: Sequence[Query]) -> None:
        while True:
            await self._up.wait()
            await self._pass("slow", queries, float("inf"))
            await asyncio.sleep(seconds_to_tick(self._target, time.time()))

    async def _sampler_lane(self, queries: Sequence[Query]) -> None:
        """Take each query's steps between the polls; how the last one went decides whether its rows are served.

        After a failure the next steps wait as long as a poll: a server that refuses logins is not asked each second.
        """
        next_at = dict.fromkeys((query.name for query in queries), 0.0)
        while True:
            await self._up.wait()
            now = time.monotonic()
            due = [query for query in queries if next_at[query.name] <= now]
            next_at |= {query.name: now + (query.step_every or 0.0) for query in due}
            try:
                async with opened(self._datastore, "sampler") as session:
                    for query in due:
                        await self._step(session, query)
            except QueryError as error:
                self._missteps |= {query.name: error for query in due}
            pause = self._target.interval if self._missteps else min(next_at.values()) - time.monotonic()
            await asyncio.sleep(max(0.0, pause))

    async def _step(self, session: Session, query: Query) -> None:
        try:
            await attempt(lambda: session.fetch(query), query.timeout, self._datastore.reason)
        except QueryError as error:
            self._missteps[query.name] = error
        else:
            self._missteps.pop(query.name, None)

    async def _pass(self, lane: Lane, queries: Sequence[Query], deadline: float) -> None:
        """Ask what is due, longest overdue first, but users' own last: these may eat up the time of the pass.

        A session that cannot be had fails all that it was for.
        """
        now = time.monotonic()
        due = [query for query in queries if self._due.get(query.name, 0.0) <= now]
        due.sort(key=lambda query: (query.fenced, self._due.get(query.name, 0.0)))
        if not due or now >= deadline:
            return
        try:
            async with opened(self._datastore, lane, min(_PING_TIMEOUT, deadline - now)) as session:
                for query in due:
                    if query.scope == "server":
                        await self._ask(session, query, None, deadline)
                for query, database in await self._places([query for query in due if query.scope == "database"]):
                    await self._ask(session, query, database, deadline)
        except QueryError as error:
            self._fail(due, error)

    async def _places(self, queries: Sequence[Query]) -> Sequence[tuple[Query, str]]:
        """Name where queries of scope database are to be asked; fail them where nobody knows."""
        if not queries:
            return ()
        try:
            databases = await attempt(self._datastore.databases, _PING_TIMEOUT, self._datastore.reason)
        except QueryError as error:
            self._fail(queries, error)
            return ()
        for query in queries:
            self._put_off(query)
        return places(queries, databases)

    async def _ask(self, session: Session, query: Query, database: str | None, deadline: float) -> None:
        left = deadline - time.monotonic()
        least = min(query.timeout, _LEAST_SHARE * self._target.interval)
        if self._info is None or left < least:  # the target went down meanwhile, or the pass is over: ask next time
            return
        if query.name in self._missteps:
            self._fail([query], self._missteps[query.name])
            return
        self._put_off(query)
        question = Question(self._target, query, database, self._info, min(query.timeout, left))
        result = await run(question, session, self._datastore)
        if result.error and result.error.reason == "timeout" and left < min(query.timeout, self._pass_seconds / 2):
            self._due[query.name] = 0.0  # the others left it too little: the next pass begins with it
        self._publish(result)

    def _fail(self, queries: Sequence[Query], error: QueryError) -> None:
        for query in queries:
            self._put_off(query)
            self._publish(failure(self._target, query, error))

    def _put_off(self, query: Query) -> None:
        """Make the query due at the tick nearest to its interval."""
        self._due[query.name] = time.monotonic() + interval(query, self._target) - self._target.interval / 2
