"""An HTTP client that costs little and the same for either server: one kept connection, one buffer, no copies."""

import socket
import time
from typing import NamedTuple, Self
from urllib.request import urlopen

_BUFFER = 1 << 23  # more than most pages here
_LAST_CHUNK = b"0\r\n\r\n"
# What Prometheus 2 sends.
_ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


class Answer(NamedTuple):
    size: int  # of the body as sent: chunked or not, compressed or not
    seconds: float


class Client:
    """Ask one server; a time-out or a refused connection is an OSError, and so is an answer other than 200."""

    def __init__(self, port: int, timeout: float = 12.0, largest: int = _BUFFER) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(largest)

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
        filled = self._receive(0)
        while (body := self._buffer.find(b"\r\n\r\n", 0, filled)) < 0:
            filled = self._receive(filled)
        body += 4
        head = bytes(self._buffer[:body]).lower()
        if b"transfer-encoding: chunked" in head:
            while not self._buffer.endswith(_LAST_CHUNK, 0, filled):
                filled = self._receive(filled)
        else:
            size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            while filled < body + size:
                filled = self._receive(filled)
        seconds = time.perf_counter() - began
        if head.split()[1] != b"200":
            raise ConnectionError(f"{path} did not answer 200")
        return Answer(filled - body, seconds)

    def _receive(self, filled: int) -> int:
        """Receive more behind what is there; return how much there is."""
        count = self._socket.recv_into(memoryview(self._buffer)[filled:])
        if not count:
            raise ConnectionError("the server closed the connection")
        return filled + count


def page(port: int) -> str:
    """Return the metrics page of either server as text."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=12) as answer:
        text: bytes = answer.read()
    return text.decode()


def series(text: str) -> int:
    return sum(1 for line in text.splitlines() if line and not line.startswith("#"))
