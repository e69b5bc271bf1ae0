"""Durations as Qdrant keeps them (lib/common/common/src/operation_time_statistics.rs)."""

import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

DENSE_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0)
SPARSE_BOUNDS = (
    0.000001, 0.000005, 0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0,
)  # fmt: skip
KEPT = 128
WINDOW = 8
OperationKey = tuple[str, str, int]  # method, endpoint, status


class Durations:
    """Count of operations, their durations in microseconds and a histogram in seconds."""

    def __init__(self, bounds: tuple[float, ...] = DENSE_BOUNDS) -> None:
        self.bounds = bounds
        self.buckets = [0] * len(bounds)
        self.count = 0
        self.total = 0
        self.smallest: float | None = None
        self.largest: float | None = None
        self.last = time.time()
        self._kept: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float) -> None:
        micros = float(int(seconds * 1e6))
        self.count += 1
        self.total += int(micros)
        self.smallest = micros if self.smallest is None else min(self.smallest, micros)
        self.largest = micros if self.largest is None else max(self.largest, micros)
        self.last = time.time()
        self._kept.append(micros)
        for number, bound in enumerate(self.bounds):
            if seconds <= bound:
                self.buckets[number] += 1

    @property
    def average(self) -> float:
        """Return the server's doubly smoothed average of the last operations."""
        kept = list(self._kept)
        windows = [kept[max(0, end - WINDOW) : end + 1] for end in range(len(kept))]
        return sum(sum(window) / len(window) for window in windows) / len(windows)

    def telemetry(self, *, full: bool = True) -> dict[str, Any]:
        measured = {} if not self.count else {"avg_duration_micros": self.average}
        if not full:
            return {"count": self.count} | measured
        if self.count:
            measured |= {"min_duration_micros": self.smallest or 0.0, "max_duration_micros": self.largest or 0.0}
        end = {"total_duration_micros": self.total, "last_responded": millisecond_stamp(self.last, 2)}
        return {"count": self.count} | measured | end


class Requests:
    """Every answer the double gave, by method, endpoint template, status and, apart from those, by collection."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()
        self.total: dict[OperationKey, Durations] = {}
        self.by_collection: dict[tuple[OperationKey, str], Durations] = {}

    def add(self, key: OperationKey, collection: str | None, seconds: float) -> None:
        with self._lock:
            self.total.setdefault(key, Durations(self._bounds)).add(seconds)
            if collection is not None:
                self.by_collection.setdefault((key, collection), Durations(self._bounds)).add(seconds)

    def telemetry(self, *, full: bool) -> dict[str, Any]:
        responses: dict[str, dict[str, Any]] = {}
        for (method, endpoint, status), durations in list(self.total.items()):
            responses.setdefault(f"{method} {endpoint}", {})[str(status)] = durations.telemetry(full=full)
        return {"rest": {"responses": responses}, "grpc": {"responses": {}}}


def millisecond_stamp(seconds: float, digits: int = 3) -> str:
    return stamp(round(seconds, digits), "milliseconds")


def nanosecond_stamp(seconds: float) -> str:
    return stamp(seconds, "microseconds").replace("Z", "000Z")


def stamp(seconds: float, timespec: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
