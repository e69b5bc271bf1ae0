"""All running pollers: the one place where a target's task starts, and ends."""

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
from exporter.errors import QueryError, Reason
from exporter.polling.execution import within_deadline
from exporter.polling.poller import Poller, Publish
from exporter.polling.schedule import seconds_to_tick
from exporter.queries.query import Query
from exporter.state.events import Event, MonitoredTarget, Ping, Poll, fresh_seconds
from exporter.state.local_fault import local_fault

_OPEN_SECONDS = 60.0  # for an import from a slow disk
_END_SECONDS = 5.0  # connections are closed politely, where somebody answers

_log = structlog.get_logger("exporter")


class PollerManager:
    """Keep the poller of each target that was started and not ended, all in one task group."""

    def __init__(self, group: asyncio.TaskGroup, publish: Publish) -> None:
        self._group = group
        self._publish = publish
        self._logins = Logins()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, target: Target, watched: MonitoredTarget, queries: Sequence[Query], delay: float) -> None:
        def publish(event: Event) -> None:
            if self._tasks.get(target.name) is task:  # one that was ended is heard no more
                self._publish(event)

        task = self._group.create_task(self._poll(target, watched, queries, publish, delay), name=target.name)
        self._tasks[target.name] = task

    def end(self, target: str) -> Coroutine[Any, Any, None]:
        """Silence a target's poller at once; await what is returned until it has closed its connections."""
        task = self._tasks.pop(target)
        task.cancel()
        return _ended(task)

    async def _poll(
        self, target: Target, watched: MonitoredTarget, queries: Sequence[Query], publish: Publish, delay: float
    ) -> None:
        await asyncio.sleep(delay)
        datastore = self._logins.guarded(target, await _opened(target, watched, publish))
        await Poller(watched, datastore, queries, publish).watch()


async def _opened(target: Target, watched: MonitoredTarget, publish: Publish) -> Datastore:
    """Return a target's datastore; as long as its client cannot be had, that target alone is down, and tried again."""
    while True:
        began = time.monotonic()
        try:
            return await within_deadline(lambda: _open(target), _OPEN_SECONDS, _no_client)
        except QueryError as error:
            now = time.monotonic()
            fresh_until = now + fresh_seconds(watched.interval)
            fault = local_fault(error)
            publish(Ping(target.name, time.time(), fresh_until, now - began, error=error, fault=fault))
            publish(Poll(target.name, time.time(), now - began))
        await asyncio.sleep(seconds_to_tick(watched, time.time()))


async def _open(target: Target) -> Datastore:
    if not is_loaded(target.store):
        await in_thread(load_client, target.store)  # this may take half a second, and the loop answers
        gc.freeze()  # what is imported stays: a full collection that looks at it stops the loop for 50 ms
    return open_datastore(target)


def _no_client(_: BaseException) -> Reason:
    return "connect"


async def _ended(task: asyncio.Task[None]) -> None:
    _, pending = await asyncio.wait([task], timeout=_END_SECONDS)
    if pending:
        _log.warning("a poller does not end: left behind", target=task.get_name(), seconds=_END_SECONDS)
