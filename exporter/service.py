"""The running service: one poller a target, all publishing into one snapshot."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from exporter.config.config import Config
from exporter.config.stores import Target
from exporter.exposition.page import Exposition
from exporter.exposition.self_metrics import SelfMetrics
from exporter.health.rendered import RenderedHealthCache
from exporter.polling.event_log import EventLogger
from exporter.polling.manager import PollerManager
from exporter.polling.schedule import start_delay
from exporter.polling.watchdog import Watchdog
from exporter.reload import ConfigDiff, Load, Reloader, read_changes
from exporter.settings import RuntimeConfig, monitored_target, queries_for
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
        self, settings: RuntimeConfig, load: Load | None = None, clock: Callable[[], Instant] = system_clock
    ) -> None:
        self.now = clock
        now = clock()
        self.settings = settings
        self.snapshot = Snapshot([monitored_target(self.config, target) for target in self.config.targets], now)
        self.exposition = Exposition(self.snapshot)
        self.health = RenderedHealthCache(self.snapshot)
        self.self_metrics = SelfMetrics()
        self._load = load or (lambda: settings)
        self.reloader = Reloader(
            lambda: read_changes(self.settings, self._load), self._apply, self.self_metrics.note_reload
        )
        self.draining = False
        self.crashed = False
        self._event_logger = EventLogger()
        self.start_deadline = now.monotonic + _STARTUP_DEADLINE

    @property
    def config(self) -> Config:
        return self.settings.config

    def publish(self, event: Event) -> None:
        """Pass an event to the snapshot, then to the views and the log."""
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
        """Poll within the context; close every connection on leaving it."""
        with Watchdog(lambda: self.snapshot.stalled_targets(self.now().monotonic)):
            whole = asyncio.create_task(self._run(), name="service")
            try:
                yield
            finally:
                whole.cancel()
                await asyncio.wait([whole])

    async def _run(self) -> None:
        """Poll for ever; a crash ends the process, which would only serve outdated data."""
        try:
            async with asyncio.TaskGroup() as group:
                self._pollers = PollerManager(group, self.publish)
                for place, target in enumerate(self.config.targets):
                    self._start(target, place, len(self.config.targets))
                group.create_task(self.self_metrics.measure_lag(), name="event loop lag")
                group.create_task(self.reloader.run(), name="reloads")
        except* Exception as crash:  # noqa: BLE001 - nothing is hidden: it is logged and the process ends
            self.crashed = True
            _log.critical("crashed, stopping", exc_info=crash)
            signal.raise_signal(signal.SIGTERM)

    def _start(self, target: Target, place: int, starting: int) -> None:
        monitored = self.snapshot.targets[target.name]
        queries = queries_for(target, self.settings.queries)
        self._pollers.start(target, monitored, queries, start_delay(place, starting, monitored.interval))

    async def _apply(self, settings: RuntimeConfig, changes: ConfigDiff) -> None:
        """Switch to new settings; what is known of a target stays unless its server is another one."""
        self.settings = settings
        if all(status.polls for status in self.snapshot.status.values()):
            self.start_deadline = 0.0  # /startupz stays ok, although a new target was not tried yet
        targets = {target.name: target for target in settings.config.targets}
        starting = (*changes.added, *changes.replaced, *changes.restarted)
        ends = {name: self._pollers.end(name) for name in (*changes.removed, *changes.replaced, *changes.restarted)}
        for name in (*changes.removed, *changes.replaced):
            self._forget(name)
        for name in (*starting, *changes.changed):
            self.snapshot.watch(monitored_target(settings.config, targets[name]), self.now())
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
