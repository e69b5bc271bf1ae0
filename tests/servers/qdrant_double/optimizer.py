"""Run the engine's optimizer in the background after writes, as the server does, and keep its history."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import qdrant_edge as engine

from tests.servers.qdrant_double.durations import Durations

SETTLE_SECONDS = 0.05


@dataclass(frozen=True)
class Run:
    """One optimization, times in seconds since the epoch; `points` were without an index before it."""

    number: str
    begin: float
    end: float
    points: int
    segments: tuple[str, ...]


class Optimizer:
    """A thread that waits for writes to settle, then optimizes until nothing is left to do."""

    def __init__(
        self,
        shard: engine.EdgeShard,
        backlog: Callable[[], int],
        segments: Callable[[], list[str]],
        tidy: Callable[[], None],
    ) -> None:
        self.durations = Durations()
        self.runs: list[Run] = []
        self.points = 0
        self.running: Run | None = None
        self._shard = shard
        self._tidy = tidy
        self._backlog = backlog
        self._segments = segments
        self._wake = threading.Event()
        self._end = False
        self._settled = True
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    @property
    def settled(self) -> bool:
        """Tell whether the optimizer has looked at everything that was written."""
        return self._settled

    def notice(self) -> None:
        """Say that something was written."""
        self._settled = False
        self._wake.set()

    def close(self) -> None:
        self._end = True
        self._wake.set()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(0 if self._end else SETTLE_SECONDS)
            self._wake.clear()
            if self._end:
                return
            while self._optimize() and not self._end:
                pass
            if not self._wake.is_set():
                self._settled = True

    def _optimize(self) -> bool:
        begin, points, segments = time.time(), self._backlog(), tuple(self._segments())
        self.running = Run(str(uuid.uuid4()), begin, begin, points, segments)
        changed = self._shard.optimize()
        run, self.running = Run(self.running.number, begin, time.time(), points, segments), None
        if changed:
            self._tidy()
            self.durations.add(run.end - run.begin)
            self.points += points
            self.runs.insert(0, run)
            del self.runs[16:]
        return changed
