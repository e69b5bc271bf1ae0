"""The running pollers: the only place where the task of a target starts and ends."""

import asyncio
import gc
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import structlog

from exporter.config.stores import Target
from exporter.datastores import is_loaded, load_client, open_datastore
from exporter.datastores.base import Datastore
from exporter.datastores.logins import Logins
from exporter.datastores.off_loop import in_thread
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from exporter.polling.poller import Poller, Publish
from exporter.polling.schedule import seconds_to_tick
from exporter.queries.query import Query
from exporter.state.events import Event, MonitoredTarget, Ping, Poll, fresh_seconds
from exporter.state.local_fault import local_fault

_OPEN_SECONDS = 60.0  # for an import from a slow disk
END_SECONDS = 5.0  # for a poller to close its connections

_log = structlog.get_logger("exporter")


class PollerManager:
    """Start and end the pollers of all targets, in one task group."""

    def __init__(self, group: asyncio.TaskGroup, publish: Publish) -> None:
        self._group = group
        self._publish = publish
        self._logins = Logins()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, target: Target, monitored: MonitoredTarget, queries: Sequence[Query], delay: float) -> None:
        def publish(event: Event) -> None:
            if self._tasks.get(target.name) is task:  # an ended poller publishes no more
                self._publish(event)

        task = self._group.create_task(self._poll(target, monitored, queries, publish, delay), name=target.name)
        self._tasks[target.name] = task

    def end(self, target: str) -> Coroutine[Any, Any, None]:
        """Cancel the poller of a target, which publishes no more; await the result until its connections are closed."""
        task = self._tasks.pop(target)
        task.cancel()
        return _wait_for_end(task)

    async def _poll(
        self, target: Target, monitored: MonitoredTarget, queries: Sequence[Query], publish: Publish, delay: float
    ) -> None:
        await asyncio.sleep(delay)
        datastore = self._logins.guarded(target, await _open_when_possible(target, monitored, publish))
        await Poller(monitored, datastore, queries, publish).watch()


async def _open_when_possible(target: Target, monitored: MonitoredTarget, publish: Publish) -> Datastore:
    """Open the datastore of a target; while its client cannot be imported, publish failed pings and try again."""
    while True:
        began = time.monotonic()
        try:
            return await within_deadline(lambda: _open(target), _OPEN_SECONDS, lambda _: "connect")
        except QueryError as error:
            now = time.monotonic()
            fresh_until = now + fresh_seconds(monitored.interval)
            fault = local_fault(error)
            publish(Ping(target.name, time.time(), fresh_until, now - began, error=error, fault=fault))
            publish(Poll(target.name, time.time(), now - began))
        await asyncio.sleep(seconds_to_tick(monitored, time.time()))


async def _open(target: Target) -> Datastore:
    if not is_loaded(target.store):
        await in_thread(load_client, target.store)  # takes up to half a second, which would block the event loop
        gc.freeze()  # modules stay: leave them out of full collections, which would block the event loop for 50 ms
    return open_datastore(target)


async def _wait_for_end(task: asyncio.Task[None]) -> None:
    _, pending = await asyncio.wait([task], timeout=END_SECONDS)
    if pending:
        _log.warning("a poller does not end: left behind", target=task.get_name(), seconds=END_SECONDS)
