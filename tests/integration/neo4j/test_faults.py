"""Neo4j that is frozen, stopped, restarted, broken or has a new password: deadlines hold, and it all comes back."""

import asyncio
import logging
import time
from pathlib import Path

import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from exporter.config.stores.neo4j import Neo4jTarget
from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.datastores.neo4j.connection import Connection
from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query
from exporter.settings import read_queries
from testkit.neo4j import Neo4j
from testkit.proxy import Proxy
from testkit.session import Servers
from tests.support.collect import collect_from, target_of
from tests.support.neo4j_targets import each_version
from tests.support.sockets import connections, until

DEADLINE = 0.5
ATTEMPTS = 4  # more than the pool has connections
SLACK = 2.0  # a slow machine
NEW_PASSWORD = "another-secret"


def opened(server: Neo4j, **extra: object) -> Datastore:
    return open_datastore(target_of({**server.target("graph"), **extra}))


def query(name: str) -> Query:
    return next(query for query in read_queries(["neo4j"]) if query.name == name)


async def why(datastore: Datastore, seconds: float = 5.0) -> Reason:
    """Ping, which must fail, and return the reason."""
    with pytest.raises(Exception) as failed:  # noqa: PT011 - of many kinds, classified by the datastore
        async with asyncio.timeout(seconds):
            await datastore.ping()
    return datastore.reason(failed.value)


async def fetch(datastore: Datastore, name: str) -> None:
    async with asyncio.timeout(DEADLINE), datastore.session("fast") as session:
        await session.fetch(query(name))


@each_version
async def test_frozen_server_costs_a_deadline_and_nothing_else(servers: Servers, version: str) -> None:
    """Pings and queries end at their deadline however often they fail; nothing leaks; it works after the thaw."""
    server = servers.neo4j(version)
    async with opened(server) as datastore:
        await collect_from(datastore, "neo4j", ["databases"])
        tasks, open_connections = len(asyncio.all_tasks()), connections(server.port)
        server.freeze()
        try:
            began = time.perf_counter()
            for _ in range(ATTEMPTS):
                with pytest.raises(TimeoutError):
                    await fetch(datastore, "databases")
            reasons = {await why(datastore, DEADLINE) for _ in range(ATTEMPTS)}
            took = time.perf_counter() - began
            await asyncio.sleep(0.1)  # a transport closes at the loop's next turn
            leaked = (len(asyncio.all_tasks()) - tasks, max(0, connections(server.port) - open_connections))
        finally:
            server.thaw()
        again = await collect_from(datastore, "neo4j", ["databases", "jvm_memory"])

    await asyncio.sleep(0.1)

    assert took < 2 * ATTEMPTS * DEADLINE + SLACK
    assert reasons == {"timeout"}
    assert leaked == (0, 0)
    assert again.failures == {}
    assert connections(server.port) == 0


@each_version
async def test_frozen_server_cannot_hold_back_the_exit(servers: Servers, version: str) -> None:
    """Closing sends a last message to a server that does not read."""
    server = servers.neo4j(version)
    datastore = opened(server)
    async with datastore:
        await datastore.ping()
        server.freeze()
        began = time.perf_counter()
    took = time.perf_counter() - began
    server.thaw()

    assert took < 2.0


async def test_connection_that_opens_while_its_driver_closes_does_not_stay(servers: Servers) -> None:
    """One lane closes the driver after a failed ping while the other is about to open one of its connections."""
    server = servers.neo4j("5.26")
    with Proxy(server.port) as proxy:
        target = target_of(server.target("graph", url=server.url.replace(f":{server.port}", f":{proxy.port}")))
        assert isinstance(target, Neo4jTarget)
        connection = Connection(target, None)
        proxy.delay(0.3)
        running = asyncio.create_task(connection.run("RETURN 1 AS one", None, 10.0))
        await until(lambda: connections(proxy.port) == 1, "a connection")
        await connection.close()
        rows = await running
        await asyncio.sleep(0.1)  # a transport closes at the loop's next turn

        assert rows == [{"one": 1}]
        assert connections(proxy.port) == 0


async def test_unreachable_server_has_reason_connect() -> None:
    """A closed port fails the ping at once, not entering or leaving, and the driver logs no address."""
    target = {"name": "graph", "store": "neo4j", "url": "bolt://127.0.0.1:1", "user": "neo4j", "password": "secret"}
    async with open_datastore(target_of(target)) as datastore:
        assert await why(datastore) == "connect"

        with pytest.raises(QueryError, match="ping"):
            await fetch(datastore, "jvm_memory")
        assert not logging.getLogger("neo4j.io").isEnabledFor(logging.ERROR)


async def test_server_stops_returns_breaks_and_changes_its_password(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fault of one server shows with its reason, and the datastore works again without being made anew."""
    server = servers.private_neo4j("5.26")
    secret = tmp_path / "password"
    secret.write_text(server.password)
    async with opened(server, password=None, password_file=secret) as datastore:
        first = await datastore.ping()
        await asyncio.to_thread(server.restart)
        second = await _answers(datastore)  # a restart between two pings is no failure, but seen
        assert (first.started_at or 0) < (second.started_at or 0)

        server.run("ALTER CURRENT USER SET PASSWORD FROM $old TO $new", "system", old=server.password, new=NEW_PASSWORD)
        server.password = NEW_PASSWORD
        secret.write_text(NEW_PASSWORD)
        assert (await collect_from(datastore, "neo4j", ["counts", "databases"])).failures == {}

        await asyncio.to_thread(server.stop)
        assert await why(datastore) == "connect"

        (server.folder / "data" / "databases" / "neo4j" / "neostore").write_bytes(bytes(range(256)) * 32)
        monkeypatch.setattr(server, "_ready", lambda: _system_answers(server))
        await asyncio.to_thread(server.start)
        await _broken_database_is_seen(datastore)
    await asyncio.to_thread(server.close)


async def _answers(datastore: Datastore) -> ServerInfo:
    """Ping within the deadline of the service, a second time where a cold server used up the first."""
    try:
        async with asyncio.timeout(5.0):
            return await datastore.ping()
    except TimeoutError:
        return await datastore.ping()


async def _broken_database_is_seen(datastore: Datastore) -> None:
    """Show that the system database still responds, and names the database that should be online and is not."""
    collected = await collect_from(datastore, "neo4j", ["databases", "database_status", "counts", "jvm_memory"])
    again = await _answers(datastore)

    assert (collected.info.unserved, again.unserved) == ("neo4j: offline", "neo4j: offline")
    assert collected.failures == {}
    assert collected.statuses["databases"] == "fail"
    assert collected.findings["databases"] == ("neo4j: offline",)
    assert collected.value("neo4j_db_status", db="neo4j", status="offline") == 1
    assert collected.value("neo4j_db_status", db="system", status="online") == 1


def _system_answers(server: Neo4j) -> bool:
    try:
        with GraphDatabase.driver(server.url, auth=(server.user, server.password)) as driver:
            driver.execute_query("SHOW DATABASES", database_="system")
    except (DriverError, Neo4jError):
        return False
    return True
