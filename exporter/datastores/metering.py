"""How much a server may send, counted where its bytes arrive: a client that puts messages together knows no end."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

METER: ContextVar["Meter | None"] = ContextVar("METER", default=None)


class Meter:
    """Count what comes over each connection that is made for it; cut one that brings more than `limit` bytes.

    exceeded: whether one was cut since the last start.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.exceeded = False
        self._answers = 0

    def start(self) -> None:
        """Begin with another answer, on whichever connection it comes."""
        self._answers += 1
        self.exceeded = False

    def watching(self, protocol_factory: Callable[[], Any]) -> Callable[[], Any]:
        """Return a factory of protocols whose data is counted before they get it."""

        def factory() -> Any:
            protocol = protocol_factory()
            made, received = protocol.connection_made, protocol.data_received
            transports: list[asyncio.Transport] = []
            size, answer = 0, 0

            def connection_made(transport: asyncio.Transport) -> None:
                transports.append(transport)
                made(transport)

            def data_received(data: bytes) -> None:
                nonlocal size, answer
                size, answer = len(data) + (size if answer == self._answers else 0), self._answers
                if size <= self.limit:
                    received(data)
                    return
                self.exceeded = True
                for transport in transports:
                    transport.abort()

            protocol.connection_made, protocol.data_received = connection_made, data_received
            return protocol

        return factory
