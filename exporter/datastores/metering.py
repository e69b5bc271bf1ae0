"""Bound what a server sends, as its bytes arrive: Neo4j's driver joins the parts of a message without a bound."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

METER: ContextVar["Meter | None"] = ContextVar("METER", default=None)


class Meter:
    """Count the bytes of each connection made through it; abort one that brings more than `limit`.

    exceeded: whether one was aborted since the last start.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.exceeded = False
        self._answers = 0

    def start(self) -> None:
        """Count the next response, on any of the connections."""
        self._answers += 1
        self.exceeded = False

    def watching(self, protocol_factory: Callable[[], Any]) -> Callable[[], Any]:
        """Return a factory of protocols whose data is counted before they receive it."""

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
