"""The event loop: uvloop's, mended where it and its users do not get on."""

from typing import Any

import uvloop

from exporter.datastores.metering import METER
from exporter.web.protocol import REQUEST_SECONDS


class PatchedUvloop(uvloop.Loop):
    """Give a TLS handshake as long as a request, close each socket once, be silent on what nobody waits for."""

    async def create_server(self, *arguments: Any, **settings: Any) -> Any:
        """Listen; raise OSError where no socket can be had: asyncio and uvloop would return a server without any.

        uvicorn leaves a handshake the minute that is usual.
        """
        seconds = REQUEST_SECONDS if settings.get("ssl") else None
        server: Any = await super().create_server(*arguments, **settings, ssl_handshake_timeout=seconds)
        if not server.sockets:
            raise OSError(f"no socket to listen with on {settings.get('host')}, port {settings.get('port')}")
        return server

    async def create_connection(self, protocol_factory: Any, *arguments: Any, **settings: Any) -> Any:
        """Connect, and count what arrives for whoever asks; a socket that was given is the transport's alone.

        uvloop leaves it the number of its descriptor, for two to close. When a transport whose peer has ended is
        collected as garbage the socket goes first, and the transport then closes what has that number by now:
        any other connection of this process. Neo4j's driver brings its own sockets.
        """
        if meter := METER.get():
            protocol_factory = meter.watching(protocol_factory)
        connected = await super().create_connection(protocol_factory, *arguments, **settings)
        if settings.get("sock"):
            settings["sock"].detach()
        return connected

    def call_exception_handler(self, context: Any) -> None:
        """Report, but not a connection's loss that came with the deadline of the only one who waited."""
        if not ("future" in context and isinstance(context.get("exception"), OSError)):
            super().call_exception_handler(context)
