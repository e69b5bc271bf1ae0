"""The running whole: one poller a target, all publishing into one snapshot."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from exporter.config.config import Config
from exporter.config.stores import Target
from exporter.exposition.page import Exposition
from exporter.exposition.self_metrics import OwnMetrics
from exporter.health.rendered import Parts
from exporter.polling.event_log import EventLogger
from exporter.polling.manager import PollerManager
from exporter.polling.schedule import start_delay
from exporter.polling.watchdog import Watchdog
from exporter.queries.query import Query
from exporter.reload import Changes, Load, Reloader
from exporter.settings import Settings, queries_for, watched
from exporter.state.events import Event, Instant, Poll, Result
from exporter.state.snapshot import Snapshot

_STARTUP_DEADLINE = 30.0

_log = structlog.get_logger("exporter")


def system_clock() -> Instant:
    return Instant(time.time(), time.monotonic())


class Service:
    """Poll every target while `running`; views read `snapshot`, `exposition` and `health`.

    `load` reads the settings again for a reload; without it they never change. `clock` returns the present.
    """

    def __init__(
        self,
        config: Config,
        queries: Sequence[Query],
        load: Load | None = None,
        clock: Callable[[], Instant] = system_clock,
    ) -> None:
        self.now = clock
        now = clock()
        settings = Settings(config, tuple(queries))
        self.snapshot = Snapshot([watched(config, target) for target in config.targets], now)
        self.exposition = Exposition(self.snapshot)
        self.health = Parts(self.snapshot)
        self.own = OwnMetrics()
        self.reloader = Reloader(settings, load or (lambda: settings), self._apply, self.own)
        self.draining = False
        self.crashed = False
        self._event_logger = EventLogger()
        self.start_deadline = now.monotonic + _STARTUP_DEADLINE

    @property
    def config(self) -> Config:
        return self.reloader.settings.config

    def publish(self, event: Event) -> None:
        """Give an event to everybody who needs it; the snapshot comes first."""
        self.snapshot.apply(event)
        match event:
            case Result():
                self.exposition.render(event)
            case Poll():
                now = self.now()
                self.exposition.refresh(event.target, now)
                self.health.refresh(event.target, now)
        self._event_logger.log(event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll until left, then close every connection."""
        with Watchdog(lambda: self.snapshot.stalled_targets(self.now().monotonic)):
            whole = asyncio.create_task(self._run(), name="service")
            try:
                yield
            finally:
                whole.cancel()
                await asyncio.wait([whole])

    async def _run(self) -> None:
        """Poll for ever; a crash ends the process, for it would serve frozen data."""
        try:
            async with asyncio.TaskGroup() as group:
                self._pollers = PollerManager(group, self.publish)
                for place, target in enumerate(self.config.targets):
                    self._start(target, place, len(self.config.targets))
                group.create_task(self.own.measure_lag(), name="event loop lag")
                group.create_task(self.reloader.run(), name="reloads")
        except* Exception as crash:  # noqa: BLE001 - nothing is hidden: the process ends, and says why
            self.crashed = True
            _log.critical("crashed, stopping", exc_info=crash)
            signal.raise_signal(signal.SIGTERM)

    def _start(self, target: Target, place: int, starting: int) -> None:
        known = self.snapshot.targets[target.name]
        queries = queries_for(target, self.reloader.settings.queries)
        self._pollers.start(target, known, queries, start_delay(place, starting, known.interval))

    async def _apply(self, settings: Settings, changes: Changes) -> None:
        """Bring everything to new settings; what is known of a server stays while it is the same."""
        if all(status.polls for status in self.snapshot.status.values()):
            self.start_deadline = 0.0  # what has started stays so, although a new target was not tried yet
        targets = {target.name: target for target in settings.config.targets}
        starting = (*changes.added, *changes.replaced, *changes.restarted)
        ends = {name: self._pollers.end(name) for name in (*changes.removed, *changes.replaced, *changes.restarted)}
        for name in (*changes.removed, *changes.replaced):
            self._forget(name)
        for name in (*starting, *changes.changed):
            self.snapshot.watch(watched(settings.config, targets[name]), self.now())
        for name in changes.restarted:
            self.snapshot.keep_queries(name, queries_for(targets[name], settings.queries))

        async def start(place: int, target: Target) -> None:
            if target.name in ends:
                await ends[target.name]
            self._start(target, place, len(starting))

        async with asyncio.TaskGroup() as group:
            for name in changes.removed:
                group.create_task(ends[name])
            for place, name in enumerate(starting):
                group.create_task(start(place, targets[name]))

    def _forget(self, target: str) -> None:
        self.snapshot.forget(target)
        self.exposition.forget(target)
        self.health.forget(target)
        self._event_logger.forget(target)
