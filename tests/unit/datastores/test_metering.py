"""What a server may send is counted for each connection: one lane's answer takes nothing from another's."""

import asyncio
from typing import Any

from exporter.datastores.metering import Meter


class Protocol(asyncio.Protocol):
    def __init__(self) -> None:
        self.got = b""

    def connection_made(self, transport: Any) -> None:
        pass

    def data_received(self, data: bytes) -> None:
        self.got += data


class Transport:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


def connected(meter: Meter) -> tuple[Any, Transport]:
    protocol, transport = meter.watching(Protocol)(), Transport()
    protocol.connection_made(transport)
    return protocol, transport


def test_each_connection_has_the_whole_bound() -> None:
    meter = Meter(10)
    (one, first), (other, second) = connected(meter), connected(meter)
    meter.start()
    for part in (b"12345", b"67890"):
        one.data_received(part)
        other.data_received(part)

    assert (one.got, other.got, meter.exceeded) == (b"1234567890", b"1234567890", False)
    other.data_received(b"!")
    assert (other.got, meter.exceeded) == (b"1234567890", True)
    assert (first.aborted, second.aborted) == (False, True)


def test_next_response_is_counted_from_zero() -> None:
    meter = Meter(10)
    one, transport = connected(meter)
    for _ in range(3):
        meter.start()
        one.data_received(b"1234567890")

    assert (len(one.got), meter.exceeded, transport.aborted) == (30, False, False)
