"""Logging in to PostgreSQL, and what a user sees who may not see everything."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from exporter.errors import NoSessionError, QueryError
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import collect, collect_from
from tests.support.postgres_polls import client, fetch, opened, poll, sql

PASSWORD = "p@ss/w:rd?#%&= \"'é"
ROLES = f"""
CREATE ROLE "odd@name" LOGIN PASSWORD {"'" + PASSWORD.replace("'", "''") + "'"} IN ROLE pg_monitor;
CREATE ROLE nobody_special LOGIN PASSWORD 'plain';
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE shop_old;
CREATE DATABASE no_entry ALLOW_CONNECTIONS false;
CREATE DATABASE remains;
UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'remains';
"""


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        for statement in ROLES.strip().split(";\n"):
            server.psql(statement)
        yield server


async def reason_for(settings: dict[str, object]) -> str:
    async with opened(settings) as datastore:
        try:
            await datastore.ping()
        except Exception as error:  # noqa: BLE001 - what the poller does
            return datastore.reason(error)
    return ""


async def test_a_login_that_fails_has_its_reason(server: Postgres) -> None:
    def at(place: str, **extra: object) -> dict[str, object]:
        return {"name": "db", "store": "postgres", "url": f"postgresql://{place}", "password": "wrong", **extra}

    host = f"127.0.0.1:{server.port}"
    good = server.target("db")["password"]

    assert await reason_for(at(f"monitor@{host}/postgres")) == "auth"
    assert await reason_for(at(f"unknown@{host}/postgres")) == "auth"
    assert await reason_for(at(f"monitor@{host}/unknown", password=good)) == "connect"
    assert await reason_for(at("monitor@127.0.0.1:1/postgres")) == "connect"
    assert await reason_for(at(f"monitor@{host}/postgres?sslmode=require", password=good)) == "connect"
    assert await reason_for(at(f"monitor@{host}/postgres", password=good)) == ""


async def test_special_characters_in_password_and_user(server: Postgres, tmp_path: Path) -> None:
    """Alone they go as they are, in the URL percent-encoded; libpq's own parameters do no harm."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    place = f"127.0.0.1:{server.port}/postgres?connect_timeout=5&sslmode=disable"
    user = quote("odd@name", safe="")
    base = {"name": "db", "store": "postgres"}
    for settings in (
        {"url": f"postgresql://{user}@{place}", "password": PASSWORD},
        {"url": f"postgresql://{user}@{place}", "password_file": str(file)},
        {"url": f"postgresql://{user}:{quote(PASSWORD, safe='')}@{place}"},
    ):
        assert await reason_for({**base, **settings}) == ""


async def test_a_rotated_password_is_read_at_the_next_login(server: Postgres, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("not yet")
    server.psql("CREATE ROLE rotating LOGIN PASSWORD 'not yet'")
    url = f"postgresql://rotating@127.0.0.1:{server.port}/postgres"
    async with opened({"name": "db", "store": "postgres", "url": url, "password_file": str(file)}) as datastore:
        await datastore.ping()
        server.psql("ALTER ROLE rotating PASSWORD 'rotated'")
        server.psql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'rotating'")
        await asyncio.sleep(0.1)  # for the client to read that the connection has ended
        with pytest.raises(NoSessionError, match="InvalidPasswordError"):
            await datastore.ping()
        file.write_text("rotated\n")

        assert (await datastore.ping()).role == "primary"

        file.unlink()
        server.psql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'rotating'")
        await asyncio.sleep(0.1)
        with pytest.raises(QueryError, match="cannot be read: No such file") as caught:
            await datastore.ping()
        assert caught.value.reason == "auth"


async def test_missing_privileges_are_named_with_their_grant(server: Postgres) -> None:
    url = f"postgresql://nobody_special@127.0.0.1:{server.port}/postgres"
    settings = {"name": "db", "store": "postgres", "url": url, "password": "plain"}
    refused = await collect(settings)
    server.psql("; ".join(refused.info.missing_privileges.values()))
    granted = await collect(settings)

    assert refused.info.missing_privileges == {
        "pg_monitor": 'GRANT pg_monitor TO "nobody_special"',
        "pg_read_all_settings": 'GRANT pg_read_all_settings TO "nobody_special"',
        "pg_read_all_stats": 'GRANT pg_read_all_stats TO "nobody_special"',
        "pg_stat_scan_tables": 'GRANT pg_stat_scan_tables TO "nobody_special"',
        "connect to closed": 'GRANT CONNECT ON DATABASE "closed" TO "nobody_special"',
    }
    assert {name: error.partition(":")[0] for name, error in refused.failures.items()} == {"wal_directory": "privilege"}
    assert not {"blocking", "idleInTransaction"} & refused.statuses.keys()  # what is not seen is not well
    assert (granted.statuses["blocking"], granted.statuses["idleInTransaction"]) == ("pass", "pass")
    assert refused.value("pg_database_size_bytes", datname="closed") is None
    assert (refused.value("pg_database_size_bytes", datname="app") or 0) > 0
    assert granted.info.missing_privileges == {}
    assert granted.failures == {}
    assert (granted.value("pg_database_size_bytes", datname="closed") or 0) > 0


async def test_databases_are_found_and_chosen(server: Postgres) -> None:
    async with opened(server.target("db", databases={"exclude": ["*_old"]})) as datastore:
        await datastore.ping()
        found = await datastore.databases()

    assert set(found) - {"closed"} == {"app", "postgres"}  # closed to monitor or not: another test's business
    async with opened(server.target("db", databases={"include": ["shop*"]})) as datastore:
        await datastore.ping()
        assert list(await datastore.databases()) == ["shop_old"]


async def test_statistics_of_statements_missing_is_a_reason(servers: Servers, server: Postgres) -> None:
    target = {**server.target("db"), "url": server.url.removesuffix("postgres") + "app"}
    not_created = await collect(target, only=["statements", "statements_info"])
    with servers.private_postgres("18", {"shared_preload_libraries": ""}) as without:
        not_loaded = await collect(without.target("db"), only=["statements", "statements_info"])

    assert not_created.failures == not_loaded.failures == {}
    assert not_created.info.capabilities["pg_stat_statements"] == (
        "extension pg_stat_statements is not installed in database app: CREATE EXTENSION pg_stat_statements"
    )
    reason = "pg_stat_statements is not in shared_preload_libraries"
    assert not_loaded.unsupported == dict.fromkeys(["statements", "statements_info"], f"unsupported: {reason}")


async def test_an_extension_is_looked_for_in_the_database_visited(server: Postgres) -> None:
    query = sql("SELECT 1 AS value", scope="database", when={"extension": "pgstattuple>=1.4"})
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        with pytest.raises(QueryError, match="needs extension pgstattuple") as caught:
            await fetch(datastore, query, "app")
        server.psql("CREATE EXTENSION pgstattuple", "app")

        assert caught.value.reason == "unsupported"
        assert await fetch(datastore, query, "app") == [{"value": 1}]


async def test_the_extension_may_lie_in_any_schema_and_be_old(servers: Servers) -> None:
    """Version 1.8 has neither toplevel nor stats_since, and other names for times than later ones."""
    with servers.private_postgres("18") as server:
        server.psql("DROP EXTENSION pg_stat_statements")
        server.psql('CREATE SCHEMA "Odd ""one"; CREATE EXTENSION pg_stat_statements SCHEMA "Odd ""one" VERSION \'1.8\'')
        names = ("statements", "statements_info")
        refused = await collect(server.target("db"), only=names)
        for grant in refused.info.missing_privileges.values():
            server.psql(grant)
        async with opened(server.target("db")) as datastore:
            old = await poll(datastore, *names)
            server.psql("ALTER EXTENSION pg_stat_statements UPDATE")
            await collect_from(datastore, "postgres", names)  # may fail: the columns changed under it
            new = await poll(datastore, *names)

    assert {error.partition(":")[0] for error in refused.failures.values()} == {"privilege"}
    assert refused.info.missing_privileges == {
        'use schema "Odd ""one"': 'GRANT USAGE ON SCHEMA "Odd ""one" TO "monitor"'
    }
    assert old.info.extensions["pg_stat_statements"] == "1.8"
    assert old.series["statements"] > 0
    assert old.value("pg_stat_statements_dealloc_total") is None
    assert new.series["statements"] > 0
    assert new.value("pg_stat_statements_dealloc_total") == 0


async def test_encrypted_with_the_certificate_checked(servers: Servers, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        servers.skip("openssl", "it is not on the PATH")
    certificate, other = make_certificate(tmp_path, "server"), make_certificate(tmp_path, "other")
    with servers.private_postgres("18") as server:
        for setting, source in (("ssl_cert_file", certificate), ("ssl_key_file", certificate.with_suffix(".key"))):
            give_to_server(source, server.data)
            server.psql(f"ALTER SYSTEM SET {setting} = '{source.name}'")
        server.psql("ALTER SYSTEM SET ssl = on")
        server.psql("SELECT pg_reload_conf()")
        settings = server.target("db")
        async with opened(
            {**settings, "url": f"{server.url}?sslmode=verify-full&sslrootcert={certificate}"}
        ) as datastore:
            await datastore.ping()
            encrypted = await fetch(
                datastore, sql("SELECT ssl::int AS value FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            )
            shown = await poll(datastore, "ssl")
        mistrusted = {**settings, "url": f"{server.url}?sslmode=verify-full&sslrootcert={other}"}

        assert encrypted == [{"value": 1}]
        assert shown.value("pg_ssl_connections", version="TLSv1.3", client="local") == 1
        assert shown.value("pg_ssl_connections", version="none", client="local") == 0
        assert await reason_for(mistrusted) == "connect"


async def test_plain_connections_from_elsewhere_are_named(servers: Servers) -> None:
    address = own_address()
    if address is None:
        servers.skip("network", "this machine has no address but the loopback one")
    with servers.private_postgres("18", {"listen_addresses": f"127.0.0.1, {address}"}) as server:
        with (server.data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {address}/32 scram-sha-256\n")
        server.psql("SELECT pg_reload_conf()")
        async with (
            opened(server.target("db")) as datastore,
            client(server),
            client(server, host=address, port=server.port),
        ):
            shown = await poll(datastore, "ssl")
            [query] = [query for query in read_queries(["postgres"]) if query.name == "ssl"]
            named = query.findings_in(await fetch(datastore, query))

    assert shown.value("pg_ssl_connections", version="none", client="remote") == 1
    assert shown.value("pg_ssl_connections", version="none", client="local") == 2
    assert named == ("postgres",)


def own_address() -> str | None:
    """Return the address under which others reach this machine; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        address = str(probe.getsockname()[0])
        return None if address.startswith("127.") else address
    return None


def make_certificate(folder: Path, name: str) -> Path:
    certificate = folder / f"{name}.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(certificate.with_suffix(".key")), "-out", str(certificate)]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)
    return certificate


def give_to_server(file: Path, folder: Path) -> None:
    """Copy a file to where only the server's user reads it."""
    place = folder / file.name
    place.write_bytes(file.read_bytes())
    place.chmod(0o600)
    owner = folder.stat()
    os.chown(place, owner.st_uid, owner.st_gid)


async def test_a_users_query_names_tables_as_the_user_does(server: Postgres, tmp_path: Path) -> None:
    """Without a schema, in the database that its file names, with the database as a label."""
    server.psql("GRANT SELECT ON customers TO monitor", database="app")
    [[expected]] = server.psql("SELECT count(*) FROM customers", database="app")
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "shop.yaml").write_text(
        "query: SELECT count(*)::float8 AS customers FROM customers\n"
        "scope: database\n"
        "databases: [app]\n"
        'metrics: {shop_customers: {type: gauge, help: "Customers.", value: customers}}\n'
    )

    collected = await collect(server.target("db"), only=["shop"], folders=(tmp_path,))

    assert collected.samples["shop_customers"] == {(("datname", "app"),): float(expected)}
    assert collected.failures == {}
