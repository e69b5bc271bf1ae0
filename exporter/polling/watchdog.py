"""End a process that is stuck, so that its supervisor can start it again."""

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

EVERY = 5.0  # seconds between two checks of the event loop
_PATIENCE = 6  # failed checks in a row
_LAST_RESORT = 60.0  # seconds: longer than the watchdog thread takes, which logs more

_log = structlog.get_logger("exporter")


def keep_alive() -> None:
    """End the process with exit code 1 and its stacks on standard error, unless this is called again within a minute.

    The timer is a thread of faulthandler, not of Python: it also runs while a call into C holds the interpreter lock,
    which blocks all Python threads and signal handlers. It goes on while the process is stopped by a signal, but not
    while the machine is suspended.
    """
    with suppress(RuntimeError):  # no thread can be started now; the next call may start one
        faulthandler.dump_traceback_later(_LAST_RESORT, exit=True, file=_standard_error())


@contextmanager
def within_a_minute() -> Iterator[None]:
    """End the process in the same way if the block takes longer than a minute."""
    keep_alive()
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def log_crashes() -> None:
    """Write the stack to standard error when C code crashes."""
    faulthandler.enable(_standard_error())


@cache
def _standard_error() -> int:
    """Return a descriptor of standard error that never blocks: a log collector that hangs must not delay the exit."""
    try:
        return os.open("/dev/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # a socket, or a file of another user
        return 2


class Watchdog:
    """Check from a thread, while in the block, that the event loop runs and that `stuck` names no target.

    A blocked event loop can neither answer a probe nor end the process. Failed checks are counted, not seconds: a
    process that was frozen for an hour has failed none.
    """

    def __init__(self, stuck: Callable[[], Sequence[str]]) -> None:
        self._stuck = stuck
        self._stuck_targets: Sequence[str] = ()
        self._passed = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        keep_alive()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        failed = 0
        while failed < _PATIENCE:
            self._passed.clear()
            self._loop.call_soon_threadsafe(self._check)
            if self._closed.wait(EVERY):
                return
            failed = 0 if self._passed.is_set() else failed + 1
        self._end()

    def _end(self) -> None:
        last_resort = threading.Timer(EVERY, os._exit, (1,))  # logging may be blocked by the same cause
        last_resort.daemon = True
        last_resort.start()
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - no other way to the stack
        stack = "".join(traceback.format_stack(frame))
        _log.critical("stuck, ending the process", targets=", ".join(self._stuck_targets) or None, stack=stack)
        os._exit(1)

    def _check(self) -> None:
        keep_alive()
        self._stuck_targets = self._stuck()
        if not self._stuck_targets:
            self._passed.set()
