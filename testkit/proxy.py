"""A TCP proxy in front of a real server, to make it slow, silent or broken."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

HOST = "127.0.0.1"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes between its own port and a server's until commanded otherwise; `restore` ends every fault.

    With a TLS context it speaks TLS to clients, and goes on with the server in plain.
    """

    def __init__(self, server_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._tls = tls
        self._server_port = server_port
        self._delay = 0.0
        self._answers_only = False
        self._cut: int | None = None
        self._resets = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._flow = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._restore())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def delay(self, seconds: float, *, answers_only: bool = False) -> None:
        """Pass every piece of data on after a delay, in both directions or from the server alone."""
        self._delay, self._answers_only = seconds, answers_only

    def cut(self, size: int) -> None:
        """End each connection after the first bytes of what the server says next."""
        self._cut = size

    def blackhole(self) -> None:
        """Accept connections and data, and pass nothing on, also on connections that are open."""
        self._loop.call_soon_threadsafe(self._flow.clear)

    def lead_to(self, server_port: int) -> None:
        """Pass connections from now on to another server; the open ones stay where they are."""
        self._server_port = server_port

    def refuse(self) -> None:
        """Refuse new connections and reset the open ones."""
        self._do(self._refuse())

    def reset(self) -> None:
        """Accept new connections and reset them, as the open ones."""
        self._resets = True
        self._do(self._drop())

    def restore(self) -> None:
        """Pass everything on again."""
        self._do(self._restore())

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(10)

    async def _restore(self) -> None:
        self._delay = 0.0
        self._cut = None
        self._resets = False
        self._flow.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._connected, HOST, self.port, ssl=self._tls)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._drop()

    async def _drop(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _end(self) -> None:
        await self._refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports report that they are closed

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if self._resets or task is None:
            _reset(writer)
            return
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer)
        self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client to the server until one of them ends."""
        self._writers.add(writer)
        try:
            await self._flow.wait()
            server_reader, server_writer = await asyncio.open_connection(HOST, self._server_port)
            self._writers.add(server_writer)
            try:
                asking = self._pass(reader, server_writer, answers=False)
                await self._exchange(asking, self._pass(server_reader, writer, answers=True))
            finally:
                self._close(server_writer)
        finally:
            self._close(writer)

    def _close(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    async def _exchange(self, *ways: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self._delay if answers or not self._answers_only else 0.0)
                await self._flow.wait()
                cut = self._cut if answers else None
                writer.write(data[:cut])
                await writer.drain()
                if cut is not None:
                    return


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")  # None of TLS that is being left
    with suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
