"""What ends the process when it no longer does its work: whoever supervises it can only start it again."""

import asyncio
import faulthandler
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Self

import structlog

_EVERY = 5.0
_PATIENCE = 6  # questions in a row without a good answer
_LAST_RESORT = 60.0  # seconds: the thread, which can say more, comes first

_log = structlog.get_logger("exporter")


def keep_alive() -> None:
    """End the process by exit code 1, its stacks on standard error, unless this is called again within a minute.

    What counts the time is not Python's: a call into C that keeps the interpreter's lock stops every thread, and every
    handler of a signal. The minute goes on in a process that is stopped, though not in a machine that is suspended.
    """
    with suppress(RuntimeError):  # the machine has no thread left; the next call may get one
        faulthandler.dump_traceback_later(_LAST_RESORT, exit=True, file=_standard_error())


@contextmanager
def within_a_minute() -> Iterator[None]:
    """End the process likewise, unless the block ends."""
    keep_alive()
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def tell_crashes() -> None:
    """Have a crash in C leave its stack on standard error."""
    faulthandler.enable(_standard_error())


@cache
def _standard_error() -> int:
    """Return a way to standard error that never waits: a collector that hangs must not hold the end up."""
    try:
        return os.open("/dev/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # a socket, or a file of another user
        return 2


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
        keep_alive()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

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
        keep_alive()
        self._found = self._stuck()
        if not self._found:
            self._well.set()
