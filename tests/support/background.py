"""Coroutines that run beside a test, or beside whatever is watched."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal


@contextmanager
def meanwhile(*work: Coroutine[Any, Any, None]) -> Iterator[None]:
    """Run coroutines in a thread of their own until the block ends; raise what one of them raised."""
    with start_blocking_portal() as portal:
        running = [portal.start_task_soon(_awaited, one) for one in work]
        try:
            yield
        finally:
            for one in running:
                one.cancel()
    for one in running:
        if not one.cancelled():
            one.result()


async def _awaited(work: Coroutine[Any, Any, None]) -> None:
    await work
