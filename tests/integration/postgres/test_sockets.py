"""Unix sockets, in a folder and in none, in every way of writing them; who may come is known by the system's user."""

import getpass
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from exporter.check import as_text, check
from exporter.config.config import load_config
from exporter.settings import RuntimeConfig
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.postgres_polls import opened


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    """Return a server that accepts only our system user, as `monitor`, and only over its sockets."""
    with servers.private_postgres("18") as server:
        (server.data / "pg_ident.conf").write_text(f"ours {getpass.getuser()} monitor\n")
        hba = "local all monitor peer map=ours\nlocal all postgres scram-sha-256\nhost all postgres all scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(hba)
        server.psql(f"ALTER SYSTEM SET unix_socket_directories = '{server.folder}', '@{server.folder.name}'")
        server.restart()
        yield server


def spellings(server: Postgres) -> list[str]:
    folder, port = quote(str(server.folder), safe=""), server.port
    return [
        f"postgresql://monitor@/postgres?host={folder}&port={port}",
        f"postgresql://monitor@/postgres?host={folder}&port={port}&sslmode=verify-full",  # as libpq: not on a socket
        f"postgresql://monitor@{folder}:{port}/postgres",
        f"postgresql:///postgres?host={server.folder}&port={port}&user=monitor",
        f"host={server.folder} port={port} user=monitor dbname=postgres",
        f"postgresql://monitor@%40{server.folder.name}:{port}/postgres",
        f"host=@{server.folder.name} port={port} user=monitor dbname=postgres",
    ]


async def test_every_spelling_leads_in_without_a_password(server: Postgres) -> None:
    for url in spellings(server):
        async with opened({"name": "db", "store": "postgres", "url": url}) as datastore:
            assert (await datastore.ping()).role == "primary", url


async def test_the_environment_and_check(server: Postgres) -> None:
    """A keyword string as postgres_exporter's users have it; every query runs."""
    name = f"user=monitor host={server.folder} port={server.port} dbname=postgres sslmode=disable"
    config = load_config(None, {"DATA_SOURCE_NAME": name})
    [report] = await check(RuntimeConfig(config))

    assert report["up"], as_text([report])


def test_the_service(server: Postgres) -> None:
    """It is watched as over TCP, and comes back; no page shows its place."""
    url = spellings(server)[0]
    with Exporter([{"name": "db", "store": "postgres", "url": url}]) as exporter:
        exporter.wait_up("db")
        assert exporter.value("pg_up", target="db") == 1
        assert (exporter.value("pg_stat_database_numbackends", datname="postgres", target="db") or 0) >= 1
        page = exporter.get("/health").body + exporter.get("/").body
        assert str(server.folder).encode() not in page
        server.kill()
        exporter.wait(lambda: exporter.value("pg_up", target="db") == 0, "up 0")
        server.start()
        exporter.wait(lambda: exporter.value("pg_up", target="db") == 1, "up 1")
    assert "Traceback" not in exporter.last_log
