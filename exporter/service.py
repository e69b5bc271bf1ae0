"""The running whole: one poller a target, all publishing into one snapshot."""

import asyncio
import gc
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase

import structlog

from exporter.config import Config
from exporter.datastores import load_client, open_datastore
from exporter.exposition import Exposition
from exporter.journal import Journal
from exporter.own_metrics import OwnMetrics
from exporter.poller import Poller
from exporter.query import Query
from exporter.schedule import start_delay
from exporter.snapshot import Event, Now, Poll, Result, Snapshot, Watched
from exporter.targets import Target
from exporter.thresholds import limits
from exporter.watchdog import Watchdog

_STARTUP_DEADLINE = 30.0

_log = structlog.get_logger("exporter")


class Service:
    """Poll every target while `running`; views read `snapshot` and `exposition`."""

    def __init__(self, config: Config, queries: Sequence[Query]) -> None:
        now = instant()
        self.config = config
        self.snapshot = Snapshot([watched(config, target) for target in config.targets], now)
        self.exposition = Exposition(self.snapshot)
        self.own = OwnMetrics()
        self.draining = False
        self.crashed = False
        self._queries = queries
        self._journal = Journal()
        self.start_deadline = now.monotonic + _STARTUP_DEADLINE

    def publish(self, event: Event) -> None:
        """Give an event to everybody who needs it; the snapshot comes first."""
        self.snapshot.put(event)
        match event:
            case Result():
                self.exposition.render(event)
            case Poll():
                self.exposition.refresh(event.target, instant())
        self._journal.note(event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll until left, then close every connection; a crash ends the process, for it would serve frozen data."""
        targets = enumerate(self.config.targets)
        with Watchdog(lambda: self.snapshot.wedged(instant().monotonic)):
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._watch(*target), name=target[1].name) for target in targets]
                    tasks.append(group.create_task(self.own.measure_lag(), name="event loop lag"))
                    yield
                    for task in tasks:
                        task.cancel()
            except* Exception as crash:  # noqa: BLE001 - nothing is hidden: the process ends, and says why
                self.crashed = True
                _log.critical("crashed, stopping", exc_info=crash)
                signal.raise_signal(signal.SIGTERM)

    async def _watch(self, place: int, target: Target) -> None:
        await asyncio.to_thread(load_client, target.store)  # an import may take half a second, and the loop answers
        gc.freeze()  # what is imported stays: a full collection that looks at it stops the loop for 50 ms
        await asyncio.sleep(start_delay(place, len(self.config.targets), self.config.interval(target)))
        queries = queries_of(target, self._queries)
        await Poller(self.snapshot.targets[target.name], open_datastore(target), queries, self.publish).watch()


def instant() -> Now:
    return Now(time.time(), time.monotonic())


def watched(config: Config, target: Target) -> Watched:
    return Watched(
        name=target.name,
        store=target.store,
        interval=config.interval(target),
        required=target.required,
        maintenance=target.maintenance,
        groups=target.groups,
        labels=target.labels,
        response=limits(config.thresholds)["response_seconds"],
    )


def queries_of(target: Target, queries: Sequence[Query]) -> list[Query]:
    """Choose a target's queries: of its store, meant for it, and with what they need configured."""
    return [
        query
        for query in queries
        if query.store == target.store
        and any(fnmatchcase(target.name, glob) for glob in query.targets)
        and query.when.wanted(target)
    ]
