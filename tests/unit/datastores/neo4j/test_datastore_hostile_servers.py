"""What a Bolt server may send is bounded, in bytes and in time, whatever it is."""

import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from exporter.web.event_loop import PatchedUvloop
from tests.support.bolt_server import Answer, bolt_server, message
from tests.support.collect import target_of
from tests.support.factories import write

CHUNK = b"a" * 0xFFFF
RECORD = b"\xb1\x71\x91"  # and one value
DEADLINE = 0.7  # for what is to reach it; a busy machine takes longer to read the rest
PATIENCE = 10.0
MOST_MIB = 160  # endless ones would be over 300 by then
LIMIT = 512 << 10


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": PatchedUvloop}


def endless_message(client: socket.socket) -> None:
    client.sendall(message(RECORD + b"\xd2\xff\xff\xff\xff")[:-2])
    while True:
        client.sendall(b"\xff\xff" + CHUNK)


def endless_records(client: socket.socket) -> None:
    record = message(RECORD + b"\xd1\xff\x00" + CHUNK[:0xFF00])
    while True:
        client.sendall(record)


def small_objects(client: socket.socket) -> None:
    """Send a list of empty lists: each byte becomes 64, and takes the longest to read."""
    count = LIMIT // 2
    rest = b"\x90" * count
    chunks = (rest[at : at + 0xFFFF] for at in range(0, count, 0xFFFF))
    client.sendall(message(RECORD + b"\xd6" + count.to_bytes(4, "big"), *chunks))
    client.sendall(message(b"\xb1\x70\xa0"))


def drip(client: socket.socket) -> None:
    client.sendall(b"\xff\xff")
    while True:
        client.sendall(b"a")
        time.sleep(0.1)


def garbage(client: socket.socket) -> None:
    client.sendall(message(b"\xde\xad\xbe\xef" * 20))


def nested(client: socket.socket) -> None:
    client.sendall(message(RECORD + b"\x91" * 60_000))


def huge_size(client: socket.socket) -> None:
    client.sendall(message(RECORD + b"\xd6\xff\xff\xff\xff"))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (endless_message, "limit"),
        (endless_records, "limit"),
        (small_objects, "decode"),
        (drip, "timeout"),
        (garbage, "connect"),
        (nested, "decode"),
        (huge_size, "connect"),
    ],
)
async def test_hostile_response_ends_with_a_reason(answer: Answer, reason: str) -> None:
    """Twice: the second time nothing is left of the first."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with bolt_server(answer) as port:
        target = {"name": "graph", "store": "neo4j", "url": f"bolt://127.0.0.1:{port}", "password": "x"}
        async with open_datastore(target_of(target)) as datastore:
            seconds = DEADLINE if reason == "timeout" else PATIENCE
            reasons = [await why(datastore, seconds) for _ in range(2)]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    assert reasons == [reason] * 2
    assert grown < MOST_MIB


def test_check_of_a_hostile_server_ends(tmp_path: Path) -> None:
    """The command reads the same servers, on the same event loop."""
    with bolt_server(endless_message) as port:
        target = f"{{name: graph, store: neo4j, url: 'bolt://127.0.0.1:{port}', password: x}}"
        config = write(tmp_path / "datatier.yaml", f"targets: [{target}]\n")
        command = [sys.executable, "-m", "exporter", "check", "--config", str(config)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert ran.returncode == 1, ran.stderr
    assert "DOWN (limit): the answer is longer than 512 KiB" in ran.stdout


async def why(datastore: Datastore, seconds: float) -> str:
    with pytest.raises(QueryError) as failed:
        await within_deadline(datastore.ping, seconds, datastore.reason)
    return failed.value.reason
