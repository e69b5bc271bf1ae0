"""Poll one target in up to three lanes, each a task with a connection of its own, so that slow queries delay no ping.

* fast: at each tick, ping, then run the due queries that are short; together that is a pass, and a poll.
* slow: run queries with long intervals, and those that run in each database.
* sampler: take the steps of operations that look more often than their query is due, such as once a second.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence

from exporter.datastores.base import Datastore, Session
from exporter.datastores.logins import PAUSE as AUTH_PAUSE
from exporter.errors import NoSessionError, QueryError, Reason
from exporter.polling.agenda import Agenda, Item
from exporter.polling.execution import (
    PING_SECONDS,
    QueryRun,
    execute_query,
    failed_result,
    open_session,
    within_deadline,
)
from exporter.polling.sampler_lane import SamplerLane
from exporter.polling.schedule import PASS_SECONDS, lane, seconds_to_tick
from exporter.queries.conditions import ServerInfo, same_server
from exporter.queries.query import Query
from exporter.state.events import Event, MonitoredTarget, Overdue, Ping, Poll, Result, fresh_seconds
from exporter.state.local_fault import LocalFault, local_fault

Publish = Callable[[Event], None]

PASS_SHARE = 0.8  # of the interval: what a fast pass may take
_MIN_SHARE = 0.05  # of the interval: with less time left, a query waits for the next pass
_GIVE_UP_AFTER = 3  # databases in a row that refuse a session, or queries in a row that time out
_NOT_REACHED: tuple[Reason, ...] = ("connect", "auth")


class Poller:
    """Poll one target until cancelled; every outcome is published, none raises."""

    def __init__(
        self, target: MonitoredTarget, datastore: Datastore, queries: Sequence[Query], publish: Publish
    ) -> None:
        self._target = target
        self._datastore = datastore
        self._publish = publish
        self._pass_seconds = min(PASS_SHARE * target.interval, PASS_SECONDS)
        self._info: ServerInfo | None = None
        self._up = asyncio.Event()
        self._fast = Agenda(target, [query for query in queries if lane(query) == "fast"])
        self._slow = Agenda(target, [query for query in queries if lane(query) == "slow"])
        self._sampler = SamplerLane(target, datastore, queries, self._up)
        self._overdue_published: dict[Agenda, float] = {}

    async def watch(self) -> None:
        """Run the lanes until cancelled, then close the datastore."""
        async with self._datastore, asyncio.TaskGroup() as lanes:
            lanes.create_task(self._fast_lane(), name=f"{self._target.name} fast")
            if self._slow.queries:
                lanes.create_task(self._slow_lane(), name=f"{self._target.name} slow")
            if self._sampler.queries:
                lanes.create_task(self._sampler.run(), name=f"{self._target.name} sampler")

    async def _fast_lane(self) -> None:
        skipped = 0
        while True:
            began = time.monotonic()
            error = await self._fast_pass()
            now = time.monotonic()
            self._publish(self._poll(now, now - began, skipped))
            pause = max(0.0, AUTH_PAUSE - (now - began)) if error and error.reason == "auth" else 0.0
            skipped = int((now - began) / self._target.interval)
            await asyncio.sleep(pause + seconds_to_tick(self._target, time.time() + pause))

    def _poll(self, now: float, took: float, skipped: int) -> Poll:
        if not self._up.is_set():
            return Poll(self._target.name, time.time(), took, skipped)
        (periods, late), (slow_periods, slow_late) = self._fast.periods(now), self._slow.periods(now)
        periods, late = {**periods, **slow_periods}, {**late, **slow_late}
        return Poll(self._target.name, time.time(), took, skipped, periods, late)

    async def _fast_pass(self) -> QueryError | None:
        """Ping, then run what is due; return the ping's error."""
        deadline = time.monotonic() + self._pass_seconds
        before = self._info
        error = await self._ping(deadline)
        if error is not None or self._info is None:
            self._up.clear()
            return error
        if not self._up.is_set() or (before is not None and not same_server(before, self._info)):
            for agenda in (self._fast, self._slow):  # the results are of another server, or expired: run all again
                agenda.clear(time.monotonic())
        self._up.set()
        await self._run_fast(deadline)
        return None

    async def _ping(self, deadline: float) -> QueryError | None:
        began = time.perf_counter()
        error: QueryError | None = None
        fault: LocalFault | None = None
        try:
            seconds = min(PING_SECONDS, deadline - time.monotonic())
            self._info = await within_deadline(self._datastore.ping, seconds, self._datastore.reason)
        except QueryError as failed:
            self._info, error, fault = None, failed, local_fault(failed)
        duration = time.perf_counter() - began
        pause = AUTH_PAUSE if error and error.reason == "auth" else 0.0
        fresh_until = time.monotonic() + fresh_seconds(self._target.interval) + pause
        skew = self._datastore.clock_skew
        self._publish(Ping(self._target.name, time.time(), fresh_until, duration, self._info, error, fault, skew))
        return error

    async def _run_fast(self, deadline: float) -> None:
        """Run what is due, the longest overdue first, but users' queries last: they may use up the time of the pass."""
        now = time.monotonic()
        due = sorted(self._fast.due(now), key=lambda item: self._fast.query(item).untrusted)
        if not due or now >= deadline:
            return
        try:
            async with open_session(self._datastore, "fast", min(PING_SECONDS, deadline - now)) as session:
                await self._run_due(self._fast, session, due, deadline)
        except QueryError as error:
            self._publish_failures(self._fast, due, error)
        self._publish_overdue(self._fast)

    async def _slow_lane(self) -> None:
        while True:
            await self._up.wait()
            if not await self._slow_pass():
                await asyncio.sleep(seconds_to_tick(self._target, time.time()))

    async def _slow_pass(self) -> bool:
        """Visit one database after another for an interval; return whether more is due at once."""
        until, refused = time.monotonic() + self._target.interval, 0
        await self._discover_databases()
        while refused < _GIVE_UP_AFTER and self._info is not None:
            now = time.monotonic()
            due, late_elsewhere = self._slow.next_visit(now)
            if not due or now >= until:
                return bool(due)
            error = await self._visit(due, late_elsewhere)
            if error is not None and error.database is None:
                self._publish_failures(self._slow, self._slow.due(time.monotonic()), error)
                break
            refused = refused + 1 if error is not None else 0
        return False

    async def _visit(self, due: Sequence[Item], late_elsewhere: float) -> NoSessionError | None:
        """Run what is due in one database; return the error if it accepted no session."""
        try:
            async with open_session(self._datastore, "slow") as session:
                return await self._run_due(self._slow, session, due, math.inf, late_elsewhere)
        except QueryError as error:
            return NoSessionError(error.reason, str(error))
        finally:
            self._publish_overdue(self._slow)

    async def _discover_databases(self) -> None:
        """Give the agenda the databases to visit; if they cannot be listed, fail the queries that run in them."""
        databases: Sequence[str] = ()
        try:
            if self._slow.database_queries:
                databases = await within_deadline(self._datastore.databases, PING_SECONDS, self._datastore.reason)
        except QueryError as error:
            for query in self._slow.database_queries:
                self._publish(failed_result(self._target, query, error))
        self._slow.set_databases(databases, time.monotonic())

    async def _run_due(
        self, agenda: Agenda, session: Session, items: Sequence[Item], deadline: float, late_elsewhere: float = math.inf
    ) -> NoSessionError | None:
        """Run what is due in one database; return the error if it accepted no session.

        Items that are not late are skipped once another database is late. The slow lane leaves a database after
        several timeouts in a row, which would delay all others.
        """
        timeouts = 0
        for number, item in enumerate(items):
            if number and late_elsewhere < min(time.monotonic(), agenda.late_at(item)):
                continue
            result = await self._run_query(agenda, session, item, deadline)
            if result is not None and isinstance(result.error, NoSessionError):
                self._publish_failures(agenda, items[number + 1 :], result.error)
                return result.error
            timed_out = result is not None and result.error is not None and result.error.reason == "timeout"
            timeouts = timeouts + 1 if timed_out else 0
            if timeouts == _GIVE_UP_AFTER and deadline == math.inf:
                for remaining in items[number + 1 :]:
                    agenda.record_miss(remaining, time.monotonic())
                break
            self._publish_overdue(agenda, self._target.interval)
        return None

    async def _run_query(self, agenda: Agenda, session: Session, item: Item, deadline: float) -> Result | None:
        """Run a query and publish the result; return None if the target went down or too little time is left."""
        query, now = agenda.query(item), time.monotonic()
        left = deadline - now
        needed = min(query.timeout, _MIN_SHARE * self._target.interval)
        if self._info is None or left < needed:
            return None
        if query.name in self._sampler.errors:
            self._publish_failures(agenda, [item], self._sampler.errors[query.name])
            return None
        run = QueryRun(self._target, query, item.database, self._info, min(query.timeout, left))
        result = await execute_query(run, session, self._datastore)
        reason = result.error.reason if result.error else None
        if isinstance(result.error, NoSessionError) or reason in _NOT_REACHED:
            agenda.record_miss(item, now)
        else:
            agenda.record_run(item, now, failed=result.failed)
        if reason == "timeout" and left < min(query.timeout, self._pass_seconds / 2):
            agenda.put_first(item)  # the queries before it left it too little time: the next pass begins with it
        self._publish(result)
        return result

    def _publish_failures(self, agenda: Agenda, items: Iterable[Item], error: QueryError) -> None:
        """Publish a failure of each item that could not run; it is due again at the next poll."""
        for item in items:
            agenda.record_miss(item, time.monotonic())
            self._publish(failed_result(self._target, agenda.query(item), error, item.database))

    def _publish_overdue(self, agenda: Agenda, pause: float = 0.0) -> None:
        """Extend the life of results whose queries are overdue: series of a slow server must not come and go.

        Do so at most once in `pause` seconds.
        """
        now = time.monotonic()
        if now < self._overdue_published.get(agenda, 0.0) + pause:
            return
        self._overdue_published[agenda] = now
        if overdue := {(item.name, item.database): until for item, until in agenda.overdue(now)}:
            self._publish(Overdue(self._target.name, overdue))
