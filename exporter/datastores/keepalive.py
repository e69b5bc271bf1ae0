"""Sockets that notice when their peer has vanished without a word: within half a minute instead of two hours."""

import socket
from collections.abc import Iterator

IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 15, 5, 3
LOST_MILLISECONDS = 1000 * (IDLE_SECONDS + INTERVAL_SECONDS * PROBES)  # what was sent is answered within, or never

_TCP_OPTIONS = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPINTVL": INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": LOST_MILLISECONDS,
}

SocketOption = tuple[int, int, int]


def _options() -> Iterator[SocketOption]:
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    for name, value in _TCP_OPTIONS.items():
        if hasattr(socket, name):  # Linux has them all
            yield socket.IPPROTO_TCP, getattr(socket, name), value


SOCKET_OPTIONS: tuple[SocketOption, ...] = tuple(_options())
