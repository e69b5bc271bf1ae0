"""Servers that mean harm, before real ones: a process of its own, which forwards all or answers as it is commanded.

`python -m testkit.hostile STORE:PORT ...` prints a JSON object of store to the port where it listens, and reads
lines `STORE KIND` from standard input; the kind `none` leads to the real server at PORT, and 0 is a Patroni of its own.
"""

import asyncio
import gzip
import json
import os
import struct
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import cache
from subprocess import PIPE, Popen
from typing import Self

KINDS = ("endless", "gzip bomb", "drip", "huge field", "garbage")
BINARY = ("postgres", "pgbouncer", "neo4j")  # protocols that know no compression
_BLOCK = b"x" * 65536
_TLS_OR_GSS = (80877103, 80877104)
_PATRONI = {
    "state": "running",
    "role": "primary",
    "timeline": 1,
    "patroni": {"name": "one", "scope": "demo", "version": "4.0.0"},
}

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Pieces = AsyncIterator[bytes]
Attack = Callable[[], Pieces]


class Hostile:
    """The process, as tests use it."""

    def __init__(self, **upstreams: int) -> None:
        self._command = [f"{store}:{port}" for store, port in upstreams.items()]
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "testkit.hostile", *self._command]
        self._process = Popen(command, stdin=PIPE, stdout=PIPE, text=True)
        assert self._process.stdout is not None
        self.ports = json.loads(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def become(self, store: str, kind: str = "none") -> None:
        """Answer in this way from now on; every connection that there is ends."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{store} {kind}\n")
        self._process.stdin.flush()


async def endless(block: bytes) -> Pieces:
    while True:
        yield block


async def dripping(answer: bytes) -> Pieces:
    for byte in answer:
        yield bytes([byte])
        await asyncio.sleep(1)


async def once(answer: bytes) -> Pieces:
    yield answer


async def then(first: bytes, rest: Pieces) -> Pieces:
    yield first
    async for piece in rest:
        yield piece


@cache
def bomb() -> bytes:
    """Return 256 MiB of zeros, compressed twice to some kilobytes."""
    return gzip.compress(gzip.compress(bytes(256 * 2**20), 9), 9)


def http(headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}\r\n".encode()


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


LOGGED_IN = message(b"R", struct.pack("!i", 0))
SETTING = message(b"S", b"a_setting\0of no use\0")


async def settings() -> Pieces:
    """Yield settings that no server has, each with a name of its own."""
    number = 0
    while True:
        yield b"".join(message(b"S", b"setting_%d\0of no use\0" % (number + n)) for n in range(2048))
        number += 2048


BOLT = bytes([0, 0, 4, 5])  # version 5.4
_HTTP: Mapping[str, Attack] = {
    "endless": lambda: then(http(), then(b"[", endless(b"0," * 32768))),
    "gzip bomb": lambda: once(http(f"Content-Encoding: gzip, gzip\r\nContent-Length: {len(bomb())}\r\n") + bomb()),
    "drip": lambda: then(http("Content-Length: 50000\r\n"), dripping(b" " * 50_000)),
    "huge field": lambda: then(http(f"Content-Length: {2**30}\r\n") + b'{"result": "', endless(_BLOCK)),
    "garbage": lambda: once(os.urandom(65536)),
}
_POSTGRES: Mapping[str, Attack] = {
    "endless": lambda: then(LOGGED_IN, settings()),
    "drip": lambda: dripping(LOGGED_IN + SETTING * 1000),
    "huge field": lambda: then(LOGGED_IN + b"S" + struct.pack("!i", 2**30 - 1), endless(_BLOCK)),
    "garbage": lambda: once(os.urandom(65536)),
}
_BOLT: Mapping[str, Attack] = {
    "endless": lambda: then(BOLT, endless(b"\xff\xff" + b"x" * 65535)),  # a message of ever more chunks
    "drip": lambda: dripping(BOLT + b"\0\x08\xb1\x70\xa1\x86server" * 1000),
    "huge field": lambda: then(
        BOLT + b"\0\x0e\xb1\x70\xa1\x86server\xd2\x3f\xff\xff\xff\0", endless(b"\xff\xff" + b"x" * 65535)
    ),
    "garbage": lambda: once(BOLT + os.urandom(65536)),
}
ATTACKS: Mapping[str, Mapping[str, Attack]] = {
    "postgres": _POSTGRES,
    "pgbouncer": _POSTGRES,
    "neo4j": _BOLT,
    "qdrant": _HTTP,
    "minio": _HTTP,
    "patroni": _HTTP,
}


async def greeted(store: str, reader: Reader, writer: Writer) -> None:
    """Read what a client says first."""
    if store in ("postgres", "pgbouncer"):
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code not in _TLS_OR_GSS:
                return
            writer.write(b"N")
    elif store == "neo4j":
        await reader.readexactly(20)
    else:
        await reader.readuntil(b"\r\n\r\n")


async def pass_on(port: int, reader: Reader, writer: Writer) -> None:
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
    finally:
        there_writer.close()


async def _pump(reader: Reader, writer: Writer) -> None:
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    writer.close()


async def be_patroni(reader: Reader, writer: Writer) -> None:
    page = json.dumps({**_PATRONI, "members": [{"name": "one", "role": "leader", "state": "running"}]}).encode()
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(http(f"Content-Length: {len(page)}\r\n") + page)


class Listener:
    """One store's port."""

    def __init__(self, store: str, upstream: int) -> None:
        self._store, self._upstream = store, upstream
        self._kind = "none"
        self._serving: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def become(self, kind: str) -> None:
        self._kind = kind
        for task in self._serving:
            task.cancel()

    async def _accept(self, reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        self._serving.discard(task)
        writer.transport.abort() if self._kind == "none" else writer.close()

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        if self._kind != "none":
            attack = ATTACKS[self._store][self._kind]
            await greeted(self._store, reader, writer)
            async for piece in attack():
                writer.write(piece)
                await writer.drain()
            await reader.read()
        elif self._upstream:
            await pass_on(self._upstream, reader, writer)
        else:
            await be_patroni(reader, writer)


async def main() -> None:
    bomb()
    wanted = [argument.partition(":") for argument in sys.argv[1:]]
    listeners = {store: Listener(store, int(port)) for store, _, port in wanted}
    ports = {store: await listener.listen() for store, listener in listeners.items()}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    while line := await told.readline():
        store, _, kind = line.decode().strip().partition(" ")
        listeners[store].become(kind)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
