"""The event loop closes each descriptor once, and logs no connection loss that no task awaits."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from exporter.web.event_loop import PatchedUvloop
from tests.support.paths import ROOT

TAKEN = 8


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": PatchedUvloop}


@pytest.mark.filterwarnings("ignore:unclosed <StreamWriter:ResourceWarning")
async def test_descriptor_of_an_abandoned_connection_is_closed_once() -> None:
    """The garbage collector frees it, and the next connection with its number stays open.

    As Neo4j's driver does it: a socket of its own, given to the loop once it is connected.
    """
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        with _no_collection():
            number = await _abandoned(loop, server.sockets[0].getsockname())
            await asyncio.sleep(0.1)
            gc.collect()
            taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(TAKEN)]
        await asyncio.sleep(0.1)
        free = os.open(os.devnull, os.O_RDONLY)

    lost = [descriptor for descriptor in taken if not _is_open(descriptor)]
    for descriptor in {*taken, free} - set(lost):
        os.close(descriptor)
    assert lost == []
    assert number in {*taken, free}, "it was never closed"


NO_DESCRIPTOR = """
import asyncio, os, resource, sys
from exporter.web.event_loop import PatchedUvloop
async def main(left):
    "".encode("idna")  # imports the codec, for which there is no descriptor later
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + left, usual[1]))
    try:
        await asyncio.get_running_loop().create_server(asyncio.Protocol, host=["127.0.0.1", "127.0.0.2"], port=0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
with asyncio.Runner(loop_factory=PatchedUvloop) as runner:
    runner.run(main(int(sys.argv[1])))
"""


@pytest.mark.parametrize("left", [1, 2], ids=["for none", "for one of two"])
def test_server_without_descriptors_is_refused(left: int) -> None:
    """A process that polls and listens nowhere, or for IPv4 alone, would look alive in its log."""
    command = [sys.executable, "-c", NO_DESCRIPTOR, str(left)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert "OSError: no socket to listen with on ['127.0.0.1', '127.0.0.2'], port 0" in ran.stderr


async def _abandoned(loop: asyncio.AbstractEventLoop, address: Any) -> int:
    """Connect, drop the connection in a reference cycle, and return its descriptor."""
    connected = socket.socket()
    connected.setblocking(False)  # noqa: FBT003 - its own signature
    await loop.sock_connect(connected, address)
    number = connected.fileno()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, sock=connected)
    knot: list[object] = [asyncio.StreamWriter(transport, protocol, reader, loop)]
    knot.append(knot)
    return number


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("error", "logged"), [(ConnectionResetError("lost"), []), (ValueError("ours"), ["ValueError('ours')"])]
)
async def test_connection_loss_without_awaiting_task_is_not_logged(error: Exception, logged: list[str]) -> None:
    """A deadline has cancelled the task in the iteration in which the connection was lost; other errors are logged."""
    loop, heard = asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda _, context: heard.append(repr(context["exception"])))

    async def fail() -> None:
        raise error

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()

    assert heard == logged
