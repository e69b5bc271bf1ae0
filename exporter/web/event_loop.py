"""The event loop: uvloop with corrections for uvicorn and the store clients."""

from typing import Any

import uvloop

from exporter.datastores.metering import METER
from exporter.web.protocol import REQUEST_SECONDS


class PatchedUvloop(uvloop.Loop):
    """Limit TLS handshakes, close each socket only once, and do not log connection losses that no task awaits."""

    async def create_server(self, *arguments: Any, **settings: Any) -> Any:
        """Listen, with a limit for TLS handshakes: uvicorn sets none, and the default is a minute.

        Raise OSError when an address has no socket: asyncio and uvloop would return a server without it.
        """
        seconds = REQUEST_SECONDS if settings.get("ssl") else None
        server: Any = await super().create_server(*arguments, **settings, ssl_handshake_timeout=seconds)
        host = settings.get("host")
        if len(server.sockets) < (len(host) if isinstance(host, list) else 1):
            server.close()
            raise OSError(f"no socket to listen with on {host}, port {settings.get('port')}")
        return server

    async def create_connection(self, protocol_factory: Any, *arguments: Any, **settings: Any) -> Any:
        """Connect; count received bytes if a meter is set, and detach a socket that the caller passed in.

        uvloop leaves the descriptor to both the socket and the transport. When the garbage collector frees them, the
        socket closes it first, and the transport then closes whatever got the same number since: another connection
        of this process. The driver of Neo4j passes its own sockets.
        """
        if meter := METER.get():
            protocol_factory = meter.watching(protocol_factory)
        connected = await super().create_connection(protocol_factory, *arguments, **settings)
        if settings.get("sock"):
            settings["sock"].detach()
        return connected

    def call_exception_handler(self, context: Any) -> None:
        """Log an exception, except the loss of a connection whose awaiting task has reached its deadline."""
        if not ("future" in context and isinstance(context.get("exception"), OSError)):
            super().call_exception_handler(context)
