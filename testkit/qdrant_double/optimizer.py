"""Index a collection in the background after writes, as the server does, and keep the history."""

import logging
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from testkit.qdrant_double.durations import Durations
from testkit.qdrant_double.shard import Shard

SETTLE_SECONDS = 0.05
KEPT_RUNS = 16
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One optimization, times in seconds since the epoch; `points` were without an index before it."""

    number: str
    begin: float
    end: float
    points: int
    segments: tuple[str, ...]


class Optimizer:
    """A thread that waits for writes to settle and has the shard indexed when enough vectors lack an index."""

    def __init__(self, shard: Shard, backlog: Callable[[], int]) -> None:
        self.durations = Durations()
        self.runs: list[Run] = []
        self.points = 0
        self.running: Run | None = None
        self.settled = True
        self._shard = shard
        self._backlog = backlog
        self._wake = threading.Event()
        self._end = False
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def notice(self) -> None:
        """Say that something was written."""
        self.settled = False
        self._wake.set()

    def close(self) -> None:
        """End the thread, and what it has running."""
        self._end = True
        self._wake.set()
        if self._child is not None:
            self._child.kill()
        self._thread.join()

    def _loop(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(0 if self._end else SETTLE_SECONDS)
            self._wake.clear()
            if not self._end and (points := self._backlog()):
                self._optimize(points)
            if self._end:
                return
            self.settled = not self._wake.is_set()

    def _optimize(self, points: int) -> None:
        begin = time.time()
        run = Run(str(uuid.uuid4()), begin, begin, points, tuple(self._shard.segments()))
        self.running, copy = run, self._shard.copy()
        command = [sys.executable, "-m", "testkit.qdrant_double.indexing", str(copy)]
        self._child = subprocess.Popen(command)
        failed = self._child.wait() != 0
        self._child = None
        if failed:
            self._shard.abandon(copy)
            if not self._end:
                log.error("the engine could not optimize %s", copy)
        else:
            self._shard.adopt(copy)
            self._remember(replace(run, end=time.time()))
        self.running = None

    def _remember(self, run: Run) -> None:
        self.durations.add(run.end - run.begin)
        self.points += run.points
        self.runs = [run, *self.runs][:KEPT_RUNS]
