"""All series of a target are of one server, though its URL, a balancer or a pooler leads to several."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from exporter.datastores.base import Lane, Session
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.errors import QueryError
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.proxy import Proxy
from testkit.session import Servers
from tests.support.collect import collect_from
from tests.support.exporter_process import Exporter
from tests.support.postgres_polls import client, opened, sql

QUERIES = {query.name: query for query in read_queries(["postgres"])}
WHERE = sql("SELECT current_setting('port')::float8 AS value")
EVERYWHERE = sql("SELECT current_setting('port')::float8 AS value", scope="database")
OURS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'datatier-exporter'"


@pytest.fixture(scope="module")
def first(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        server.psql("CREATE DATABASE only_first")
        yield server


@pytest.fixture(scope="module")
def second(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        server.psql("CREATE DATABASE only_second")
        yield server


@pytest.fixture
def balancer(first: Postgres) -> Iterator[Proxy]:
    """Lead new connections to the first server, until a test lets them go to the second."""
    with Proxy(first.port) as proxy:
        yield proxy


def target(first: Postgres, *ports: int, **extra: Any) -> dict[str, Any]:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return first.target("db", url=f"postgresql://monitor@{hosts}/postgres", **extra)


@pytest.mark.parametrize("lane", ["slow", "sampler", "fast", "login"])
async def test_a_login_that_meets_another_server_ends_all_passes(
    first: Postgres, second: Postgres, balancer: Proxy, lane: Lane | Literal["login"]
) -> None:
    asked = QUERIES["login"] if lane == "login" else WHERE
    place: Lane = "slow" if lane == "login" else lane
    async with opened(target(first, balancer.port)) as datastore:
        before = await datastore.ping()
        balancer.lead_to(second.port)
        async with datastore.session("fast") as held:
            assert await port_of(held) == first.port
            if lane == "fast":  # the held connection ends, and the next one is to the other server
                async with client(first) as admin:
                    await admin.execute(OURS)
                await asyncio.sleep(0.5)  # so that the driver has noticed
            async with datastore.session(place) as session:
                with pytest.raises(QueryError, match="another server answered") as caught:
                    await session.fetch(asked)
                with pytest.raises(QueryError, match="another server answered since this pass began"):
                    await session.fetch(asked)
            with pytest.raises(QueryError, match="another server answered since this pass began"):
                await held.fetch(WHERE)
        async with datastore.session(place) as session:
            with pytest.raises(QueryError, match="the next ping tells which one"):
                await session.fetch(asked)
        after = await datastore.ping()
        seen = [await port_of(session) async for session in sessions(datastore)]

    assert caught.value.reason == "connect"
    assert before.identity != after.identity
    assert seen == [second.port] * 3


async def port_of(session: Session) -> object:
    [row] = await session.fetch(WHERE)
    return row["value"]


async def sessions(datastore: PostgresDatastore) -> AsyncIterator[Session]:
    lanes: tuple[Lane, ...] = ("fast", "slow", "sampler")
    for lane in lanes:
        async with datastore.session(lane) as session:
            yield session


async def test_the_first_host_of_the_url_comes_back(first: Postgres, second: Postgres, balancer: Proxy) -> None:
    balancer.refuse()
    async with opened(target(first, balancer.port, second.port)) as datastore:
        await datastore.ping()
        there = await datastore.databases()
        balancer.restore()
        async with datastore.session("slow") as session:
            with pytest.raises(QueryError, match="another server answered"):
                await session.fetch(EVERYWHERE, "app")
        await datastore.ping()
        back = await datastore.databases()

    assert "only_second" in there
    assert "only_second" not in back
    assert "only_first" in back


async def test_a_restarted_server_is_another_one_and_a_reloaded_one_is_not(servers: Servers) -> None:
    with servers.private_postgres("14") as server:
        async with opened(server.target("db")) as datastore:
            begun = await datastore.ping()
            async with datastore.session("slow") as session:
                server.psql("SELECT pg_reload_conf()")
                await datastore.ping()
                assert await port_of(session) == server.port
                server.restart()
                with pytest.raises(QueryError, match=r"another server|terminat"):
                    await session.fetch(EVERYWHERE, "app")
            again = await datastore.ping()

    assert begun.identity != again.identity


async def test_a_pooler_leads_to_another_server_with_one_database(
    servers: Servers, first: Postgres, second: Postgres
) -> None:
    """That database is left out; a pooler that leads to another server with all of them shows at the next ping."""
    with servers.private_pgbouncer(first) as bouncer:
        settings = bouncer.folder / "pgbouncer.ini"
        settings.write_text(
            settings.read_text().replace(
                f"app = host=127.0.0.1 port={first.port}", f"app = host=127.0.0.1 port={second.port}"
            )
        )
        os.kill(bouncer.pid or 0, signal.SIGHUP)
        async with opened(bouncer.server_target("db", databases={"include": ["app", "postgres"]})) as datastore:
            collected = await collect_from(datastore, "postgres", ["user_tables"])
            visited = await datastore.databases()
            settings.write_text(settings.read_text().replace(str(first.port), str(second.port)))
            os.kill(bouncer.pid or 0, signal.SIGHUP)
            first.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'monitor'")
            async with datastore.session("fast") as session:
                with pytest.raises(Exception, match=r"another server|closed|terminat"):
                    await session.fetch(WHERE)
            await datastore.ping()
            async with datastore.session("fast") as session:
                seen = await port_of(session)

    assert collected.unsupported == {"user_tables": "unsupported: PgBouncer leads to another server with this database"}
    assert collected.failures == {}
    assert visited == ["postgres"]
    assert seen == second.port


def test_no_page_shows_two_servers(first: Postgres, second: Postgres, balancer: Proxy, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "here.yaml").write_text(
        "query: SELECT current_setting('port')::float8 AS port\nscope: database\ninterval: 1s\n"
        "metrics: {here_port: {type: gauge, help: The port., value: port}}\n"
    )
    with Exporter([target(first, balancer.port)], queries=[str(tmp_path)]) as exporter:

        def shown() -> set[str]:
            samples = exporter.samples()
            names = ("here_port", "pg_stat_database_numbackends", "pg_database_size_bytes")
            found = {dict(labels)["datname"] for name in names for labels in samples.get(name, {})}
            assert not {"only_first", "only_second"} <= found
            return found

        def complete(name: str) -> bool:
            return shown() >= {name} and exporter.value("here_port", target="db", datname=name) is not None

        exporter.wait(lambda: complete("only_first"), "the first server's series")
        balancer.lead_to(second.port)
        exporter.wait(lambda: complete("only_second"), "the second server's series")
        assert exporter.value("pg_database_size_bytes", target="db", datname="only_second") is not None
