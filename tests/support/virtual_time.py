"""An event loop whose time passes only while everybody waits: tests of schedules need no patience and know no load."""

import asyncio
import selectors
import time
from typing import Any

import pytest

_EPOCH = 1e9  # the wall clock's reading at the start


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0


class _Selector(selectors.DefaultSelector):
    """Answer at once, and let the clock jump over the time that the loop would have waited."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout is None or timeout <= 0:
            return ready or super().select(timeout)
        self._clock.now += timeout
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: _Clock) -> None:
        self._virtual = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._virtual.now


def virtual_time(monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """Return the value of a module's fixture `anyio_backend`; the module `time` shows the loop's time, too."""
    clock = _Clock()
    for name, start in (("monotonic", 0.0), ("perf_counter", 0.0), ("time", _EPOCH)):
        monkeypatch.setattr(time, name, lambda start=start: start + clock.now)
    return "asyncio", {"loop_factory": lambda: _Loop(clock)}
