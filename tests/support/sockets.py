"""The connections of this process, as the kernel lists them."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PATIENCE_SECONDS = 20.0


def sockets_to(port: int) -> Iterator[socket.socket]:
    """Yield this process's connections to a port of its own machine, one after another."""
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if not entry.is_socket():
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as duplicate:
                if duplicate.family == socket.AF_INET and duplicate.getpeername()[1] == port:
                    yield duplicate


def connections(port: int) -> int:
    return sum(1 for _ in sockets_to(port))


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"in vain for {what}"
        await asyncio.sleep(0.05)
