"""A peer that vanishes without a word: each client notices, holds nothing, and is back at the first ping after."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from exporter.datastores import open_datastore
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from testkit.proxy import Proxy
from testkit.session import Servers
from tests.support.collect import target_of
from tests.support.sockets import connections, sockets_to, until

STORES = ("postgres", "pgbouncer", "neo4j", "qdrant", "minio")
PING_SECONDS = 2.0
CAP = 4  # connections a target may hold

_KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
_OPTIONS = {
    _KEEPALIVE: 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 15,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 30_000,
}

pytestmark = pytest.mark.servers("postgres:18", "minio:1", "qdrant")


@pytest.fixture(params=STORES)
def proxied(request: pytest.FixtureRequest, servers: Servers) -> Iterator[tuple[Proxy, dict[str, Any]]]:
    """Return a proxy in front of a server, and the target that leads through it."""
    with ExitStack() as stack:
        server: Any
        if request.param == "pgbouncer":
            server = stack.enter_context(servers.private_pgbouncer(servers.postgres("18")))
        else:
            server = getattr(servers, request.param)()
        proxy = stack.enter_context(Proxy(server.port))
        entry = server.target("far")
        yield proxy, entry | {"url": entry["url"].replace(f":{server.port}", f":{proxy.port}")}


async def test_silence_is_a_timeout_and_leaves_nothing_behind(proxied: tuple[Proxy, dict[str, Any]]) -> None:
    """Three polls in vain, the next one after it ends succeeds; no connection, task or thread outlives the target."""
    proxy, entry = proxied
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    async with open_datastore(target_of(entry)) as datastore:
        await within_deadline(datastore.ping, 20.0, datastore.reason)
        proxy.blackhole()
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(QueryError) as caught:
                await within_deadline(datastore.ping, PING_SECONDS, datastore.reason)

            assert caught.value.reason == "timeout"
            assert time.monotonic() - began < PING_SECONDS + 2.0
        await until(lambda: connections(proxy.port) <= CAP, "the connections in vain to go")
        proxy.restore()
        await within_deadline(datastore.ping, 20.0, datastore.reason)
        proxy.blackhole()  # it is left while no server answers
    await until(lambda: connections(proxy.port) == 0, "the last connection to go")
    await until(lambda: len(asyncio.all_tasks()) <= tasks, "the tasks to end")
    await until(lambda: threading.active_count() <= threads, "the threads to end")


async def test_idle_connections_are_looked_after(proxied: tuple[Proxy, dict[str, Any]]) -> None:
    """The kernel asks after a silent peer, within seconds where the client lets us say so."""
    proxy, entry = proxied
    async with open_datastore(target_of(entry)) as datastore:
        await within_deadline(datastore.ping, 20.0, datastore.reason)
        options = [{name: each.getsockopt(*name) for name in _OPTIONS} for each in sockets_to(proxy.port)]

        assert options
        for found in options:
            # Neo4j's driver knows but on and off.
            assert found == _OPTIONS or (entry["store"] == "neo4j" and found[_KEEPALIVE] == 1)
