"""How much a server may send, counted where its bytes arrive: a client that puts messages together knows no end."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

METER: ContextVar["Meter | None"] = ContextVar("METER", default=None)


class Meter:
    """Count what comes over the connections that are made for it; cut them when it is more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.exceeded = False
        self._received = 0

    def start(self) -> None:
        """Begin with another answer."""
        self._received, self.exceeded = 0, False

    def watching(self, protocol_factory: Callable[[], Any]) -> Callable[[], Any]:
        """Return a factory of protocols whose data is counted before they get it."""

        def factory() -> Any:
            protocol = protocol_factory()
            made, received = protocol.connection_made, protocol.data_received
            transports: list[asyncio.Transport] = []

            def connection_made(transport: asyncio.Transport) -> None:
                transports.append(transport)
                made(transport)

            def data_received(data: bytes) -> None:
                self._received += len(data)
                if self._received <= self.limit:
                    received(data)
                    return
                self.exceeded = True
                for transport in transports:
                    transport.abort()

            protocol.connection_made, protocol.data_received = connection_made, data_received
            return protocol

        return factory
