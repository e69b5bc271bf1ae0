"""A Bolt server that accepts every login, and responds to a statement with bytes of a test's choice."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_VERSION = b"\x00\x00\x04\x04"  # 4.4
_RUN = 0x10
_SUCCESS = b"\xb1\x70\xa3\x86server\x8bNeo4j/4.4.0\x8dconnection_id\x81x\x86fields\x91\x81n"

Answer = Callable[[socket.socket], None]


def message(*parts: bytes) -> bytes:
    """Return a message in chunks, one a part."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts) + b"\x00\x00"


@contextmanager
def bolt_server(answer: Answer) -> Iterator[int]:
    """Serve on a free port; `answer` is what a statement gets after a SUCCESS that names one field, n."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                open_ones.append(client)
                threading.Thread(target=_serve, args=(client, answer), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for one in (listener, *open_ones):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _serve(client: socket.socket, answer: Answer) -> None:
    with suppress(OSError, EOFError):
        _exactly(client, 20)
        client.sendall(_VERSION)
        while True:
            signature = _message(client)[1]
            client.sendall(message(_SUCCESS))
            if signature == _RUN:
                answer(client)


def _message(client: socket.socket) -> bytes:
    found = b""
    while size := int.from_bytes(_exactly(client, 2), "big"):
        found += _exactly(client, size)
    return found


def _exactly(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        some = client.recv(size - len(found))
        if not some:
            raise EOFError
        found += some
    return found
