"""Fetch the servers in a process of its own, so that a signal also ends its installers and compilers."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from deploy.demo import REPOSITORY
from deploy.demo.terminal import Terminal
from testkit.machine import guard

_INTERRUPTS = (signal.SIGINT,) * 5  # processes that it starts after the first one need another
_SECONDS_TO_STOP = 3.0
_BUILT = "minio/"


async def fetch(names: Iterable[str], terminal: Terminal) -> dict[str, str]:
    """Fill the cache with servers, show the progress, and return why some are unavailable, by name."""
    reasons: dict[str, str] = {}
    command = [sys.executable, "-m", "testkit", "fetch", *names]
    async with _running(command) as process:
        assert process.stdout is not None
        doing: dict[str, float] = {}
        while line := await _next_line(process.stdout, doing, terminal):
            name, _, said = line.removeprefix("servers: ").partition(": ")
            if said.startswith("unavailable: "):
                reasons[name] = said.removeprefix("unavailable: ")
            elif said == "fetching":
                doing[name] = time.monotonic()
            elif doing.pop(name, None) is not None:
                terminal.say(f"  {_title(name)}: {said}")
    return reasons


async def _next_line(lines: asyncio.StreamReader, doing: dict[str, float], terminal: Terminal) -> str:
    """Return the next line, or "" at the end; while waiting, show what takes how long."""
    waiting = asyncio.ensure_future(lines.readline())
    while not waiting.done():
        await asyncio.wait([waiting], timeout=1.0)
        if terminal.redraws and not waiting.done():
            terminal.show([f"  {_title(name)} ... {time.monotonic() - begin:.0f} s" for name, begin in doing.items()])
    return waiting.result().decode(errors="replace").rstrip("\n")


def _title(name: str) -> str:
    if name.startswith(_BUILT):
        return f"{name.partition('/')[0]}, built from source (a few minutes)"
    return f"preparing {name}" if "-data-" in name else f"downloading {name}"


@asynccontextmanager
async def _running(command: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command in a process group of its own; interrupt the whole group on leaving, as Ctrl-C would."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    guard.tell(f"started {process.pid} {signal.SIGINT.value}")
    try:
        yield process
        await process.wait()
    finally:
        await _end(process)
        guard.tell(f"ended {process.pid}")


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (*_INTERRUPTS, signal.SIGKILL):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _SECONDS_TO_STOP)
