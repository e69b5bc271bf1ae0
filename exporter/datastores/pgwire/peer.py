"""Who is at the other end of a Unix socket."""

import pwd
import socket
import struct

from exporter.query import QueryError


def check_peer(connection: socket.socket, wanted: str) -> None:
    """Raise QueryError where a server runs as another user of the system than requirepeer says; "" is anybody."""
    if not wanted:
        return
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    if name != wanted:
        raise QueryError("auth", f"the server runs as {name}, not as requirepeer={wanted}")
