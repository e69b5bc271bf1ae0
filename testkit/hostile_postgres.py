"""A server that speaks PostgreSQL's protocol and means harm: what no real one can be made to say."""

import itertools
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Self

Speech = Iterator[bytes | float]  # what is said; a number is a pause in seconds

VERSION = "18.1"
_PIECE = 1 << 18


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def parameter(name: str, value: str) -> bytes:
    return message(b"S", f"{name}\0{value}\0".encode())


def notice(text: str) -> bytes:
    return message(b"N", f"SNOTICE\0VNOTICE\0C00000\0M{text}\0\0".encode())


def row(*fields: bytes) -> bytes:
    body = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return message(b"D", len(fields).to_bytes(2, "big") + body)


def _asks(code: int, body: bytes = b"") -> bytes:
    return message(b"R", code.to_bytes(4, "big") + body)


OK, READY = _asks(0), message(b"Z", b"I")
COLUMN = message(b"T", b"\0\1value\0" + bytes(6) + (25).to_bytes(4, "big") + b"\xff\xff" + b"\xff" * 4 + b"\0\0")


def greeting(version: str = VERSION) -> bytes:
    """Let somebody in, as a server does."""
    return OK + parameter("server_version", version) + parameter("client_encoding", "UTF8") + READY


def endless(make: Callable[[int], bytes]) -> Speech:
    """Say the same for ever, with other numbers in it, in pieces as large as a socket takes."""
    numbers = itertools.count()
    while True:
        piece = bytearray()
        while len(piece) < _PIECE:
            piece += make(next(numbers))
        yield bytes(piece)


def huge(kind: bytes = b"D", prefix: bytes = b"\0\1" + (1 << 29).to_bytes(4, "big")) -> Speech:
    """Announce a message of half a gigabyte, and begin to send it."""
    yield kind + ((1 << 29) + len(prefix) + 4).to_bytes(4, "big") + prefix
    while True:
        yield bytes(_PIECE)


def garbage() -> Speech:
    while True:
        yield secrets.token_bytes(_PIECE)


def drip(text: bytes) -> Speech:
    """Say one byte a second."""
    for byte in text:
        yield bytes([byte])
        yield 1.0


class Hostile:
    """Listens on a port of its own; `login` says what comes instead of the login, `answer` instead of rows.

    Each is None where all is as it should be. `heard` is every password that came in clear.
    """

    def __init__(self) -> None:
        self.login: Callable[[], Speech] | None = None
        self.answer: Callable[[], Speech] | None = None
        self.rounds: str | None = None  # of SCRAM, for the password `secret`
        self.proof = b""  # what comes in its place
        self.greeting = greeting()
        self.clear = False
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def target(self, name: str, **extra: object) -> dict[str, object]:
        url = f"postgresql://monitor@127.0.0.1:{self.port}/postgres"
        return {"name": name, "store": "postgres", "url": url, "password": "secret", **extra}

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, EOFError):
            client.settimeout(60)
            self._let_in(client)
            while True:
                self._reply(client, *_message(client))

    def _let_in(self, client: socket.socket) -> None:
        while len(_read(client, int.from_bytes(_read(client, 4), "big") - 4)) == 4:  # asks for TLS
            client.sendall(b"N")
        if self.login is not None:
            _say(client, self.login())
        if self.clear:
            client.sendall(_asks(3))
            self.heard.append(_message(client)[1])
        if self.rounds is not None:
            self._scram(client, self.rounds)
        client.sendall(self.greeting)

    def _scram(self, client: socket.socket, rounds: str) -> None:
        """Ask for SCRAM-SHA-256 by so many rounds, and prove nothing."""
        client.sendall(_asks(10, b"SCRAM-SHA-256\0\0"))
        nonce = _message(client)[1].partition(b"r=")[2] + b"server"
        client.sendall(_asks(11, b"r=" + nonce + b",s=c2FsdA==,i=" + rounds.encode()))
        _message(client)
        client.sendall({b"OK": OK, b"CLEAR": _asks(3)}.get(self.proof, _asks(12, b"v=" + b"A" * 43 + b"=")))
        self.heard.append(_message(client)[1])

    def _reply(self, client: socket.socket, kind: bytes, body: bytes) -> None:
        answer = self.answer() if self.answer is not None else iter([row(b"1"), message(b"C", b"SELECT 1\0")])
        if kind == b"P":
            client.sendall(message(b"1") + message(b"t", b"\0\0") + COLUMN)
        elif kind == b"B":
            client.sendall(message(b"2"))
            _say(client, answer)
        elif kind == b"S":
            client.sendall(READY)
        elif kind == b"Q" and body.upper().startswith(b"SHOW"):
            client.sendall(COLUMN)
            _say(client, answer)
            client.sendall(READY)
        elif kind == b"Q":
            client.sendall(message(b"C", b"SET\0") + READY)
        elif kind == b"X":
            raise EOFError


def _say(client: socket.socket, speech: Speech) -> None:
    for piece in speech:
        if isinstance(piece, float):
            threading.Event().wait(piece)
        else:
            client.sendall(piece)


def _read(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = client.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _message(client: socket.socket) -> tuple[bytes, bytes]:
    kind, length = _read(client, 1), int.from_bytes(_read(client, 4), "big")
    return kind, _read(client, length - 4)
