"""An HTTP client that costs little and the same for either server: one kept connection, raw bytes."""

import socket
import time
from typing import NamedTuple, Self
from urllib.request import urlopen

_BUFFER = 1 << 20
_LAST_CHUNK = b"0\r\n\r\n"
# What Prometheus 2 sends.
_ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


class Answer(NamedTuple):
    body: bytes  # as sent: still chunked, still compressed
    seconds: float


class Client:
    """Ask one server; a time-out or a refused connection is an OSError, and so is an answer other than 200."""

    def __init__(self, port: int, timeout: float = 12.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(_BUFFER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def get(self, path: str, *, gzip: bool = False) -> Answer:
        """Send one request; the seconds end with the body's last byte."""
        encoding = "Accept-Encoding: gzip\r\n" if gzip else ""
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {_ACCEPT}\r\n{encoding}\r\n".encode()
        began = time.perf_counter()
        self._socket.sendall(request)
        parts = [self._receive()]
        while b"\r\n\r\n" not in parts[0]:
            parts[0] += self._receive()
        head, _, parts[0] = parts[0].partition(b"\r\n\r\n")
        head = head.lower()
        if b"transfer-encoding: chunked" in head:
            while not _ends_chunked(parts):
                parts.append(self._receive())
        else:
            missing = int(head.partition(b"content-length:")[2].split(b"\r\n")[0]) - len(parts[0])
            while missing > 0:
                parts.append(self._receive())
                missing -= len(parts[-1])
        seconds = time.perf_counter() - began
        if head.split()[1] != b"200":
            raise ConnectionError(f"{path} did not answer 200")
        return Answer(b"".join(parts), seconds)

    def _receive(self) -> bytes:
        count = self._socket.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the server closed the connection")
        return bytes(memoryview(self._buffer)[:count])


def _ends_chunked(parts: list[bytes]) -> bool:
    tail = parts[-1] if len(parts[-1]) >= len(_LAST_CHUNK) else b"".join(parts[-6:])
    return tail.endswith(_LAST_CHUNK)


def page(port: int) -> str:
    """Return the metrics page of either server as text."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=12) as answer:
        text: bytes = answer.read()
    return text.decode()


def series(text: str) -> int:
    return sum(1 for line in text.splitlines() if line and not line.startswith("#"))
