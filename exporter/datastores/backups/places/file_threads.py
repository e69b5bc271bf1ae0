"""Calls on a file system that may hang: each in a thread that nothing waits for longer than its deadline."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import TypeVar

from exporter.errors import QueryError

MOST_THREADS = 4

_T = TypeVar("_T")


@dataclass(eq=False, slots=True)
class Call:
    """One call. Work of many steps asks `check` between them, so that it ends soon after nobody waits for it.

    part: of the place, empty for all of it.
    """

    part: str
    until: float
    left: bool = field(default=False)

    def check(self) -> None:
        """Raise QueryError where the deadline is over."""
        if self.left or time.monotonic() >= self.until:
            raise _timeout("it was not read within its deadline")


class FileThreads:
    """Make the calls on one place, at most four at a time.

    A call that hangs cannot be interrupted: its thread stays until the file system answers. Meanwhile every other call
    on the same part of the place, or on any part where the whole place hangs, fails at once. The end of the process
    waits for none of them.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MOST_THREADS)
        self._hanging: set[Call] = set()

    async def run(self, part: str, seconds: float, work: Callable[[Call], _T]) -> _T:
        """Return what `work` returns or raise what it raises; raise QueryError `timeout` after so many seconds."""
        self._refuse_where_it_hangs(part)
        call = Call(part, time.monotonic() + seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
                return await self._in_thread(call, work)
        except TimeoutError:
            raise _timeout(f"no answer within {seconds:g} s") from None

    def _refuse_where_it_hangs(self, part: str) -> None:
        if len(self._hanging) >= MOST_THREADS or any(call.part in ("", part) for call in self._hanging):
            raise _timeout("it still does not answer")

    async def _in_thread(self, call: Call, work: Callable[[Call], _T]) -> _T:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_T | Exception] = loop.create_future()

        def make_call() -> None:
            found: _T | Exception
            try:
                found = work(call)
            except Exception as error:  # noqa: BLE001 - it is raised where the call is awaited
                found = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(self._ended, call, outcome, found)

        try:
            Thread(target=make_call, name="place of backups", daemon=True).start()
        except BaseException:
            self._slots.release()
            raise
        try:
            found = await outcome
        finally:
            if not outcome.done() or outcome.cancelled():
                call.left = True
                self._hanging.add(call)
        if isinstance(found, Exception):
            raise found
        return found

    def _ended(self, call: Call, outcome: "asyncio.Future[_T | Exception]", found: "_T | Exception") -> None:
        self._slots.release()
        self._hanging.discard(call)
        if not outcome.done():
            outcome.set_result(found)


def _timeout(why: str) -> QueryError:
    return QueryError("timeout", f"the folder hangs, as a mount of a server that is gone does: {why}")
