"""A thread that ends the process when it no longer does its work: whoever supervises it can only start it again."""

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Self

import structlog

_EVERY = 5.0
_PATIENCE = 6  # questions in a row without a good answer

_log = structlog.get_logger("exporter")


class Watchdog:
    """Ask the event loop, while in the block, whether it still turns and whether something in it is stuck.

    A loop that is blocked can neither answer a probe nor end by itself. Patience is counted in questions: a process
    that was stopped for an hour, as a container's freezer does it, has missed none.
    """

    def __init__(self, stuck: Callable[[], Sequence[str]]) -> None:
        self._stuck = stuck
        self._found: Sequence[str] = ()
        self._well = threading.Event()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _watch(self) -> None:
        missed = 0
        while missed < _PATIENCE:
            self._well.clear()
            self._loop.call_soon_threadsafe(self._answer)
            if self._left.wait(_EVERY):
                return
            missed = 0 if self._well.is_set() else missed + 1
        self._end()

    def _end(self) -> None:
        last_resort = threading.Timer(_EVERY, os._exit, (1,))  # what blocks the loop may block the log, too
        last_resort.daemon = True
        last_resort.start()
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way to another's stack
        stack = "".join(traceback.format_stack(frame))
        _log.critical("stuck, ending the process", targets=", ".join(self._found) or None, stack=stack)
        os._exit(1)

    def _answer(self) -> None:
        self._found = self._stuck()
        if not self._found:
            self._well.set()
