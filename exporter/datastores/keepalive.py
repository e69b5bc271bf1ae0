"""Socket options that detect a vanished peer within half a minute instead of two hours."""

import socket
from collections.abc import Iterator

from exporter.config.libpq.conninfo import Conninfo

IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 15, 5, 3
LOST_MILLISECONDS = 1000 * (IDLE_SECONDS + INTERVAL_SECONDS * PROBES)  # to acknowledge what was sent

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
        if hasattr(socket, name):  # Linux has all of them
            yield socket.IPPROTO_TCP, getattr(socket, name), value


SOCKET_OPTIONS: tuple[SocketOption, ...] = tuple(_options())

_PARAMETERS = {
    "keepalives_idle": "TCP_KEEPIDLE",
    "keepalives_interval": "TCP_KEEPINTVL",
    "keepalives_count": "TCP_KEEPCNT",
    "tcp_user_timeout": "TCP_USER_TIMEOUT",
}


def keepalive(info: Conninfo) -> Iterator[SocketOption]:
    """Yield the options of a TCP socket, with the numbers of libpq's parameters where they are set, but 0."""
    yield from SOCKET_OPTIONS
    if info.get("keepalives", "1").lower() in ("0", "off", "false", "no"):
        yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0
    for parameter, name in _PARAMETERS.items():
        if int(info.get(parameter, "0")) > 0 and hasattr(socket, name):
            yield socket.IPPROTO_TCP, getattr(socket, name), int(info.get(parameter))
