"""How a login is proven, on a real server: by every method it may ask for, and by none that the target forbids."""

import asyncio
import getpass
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.datastores.pgwire import login
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from testkit.certificates import Authority
from testkit.machine import temp_folder
from testkit.postgres import PASSWORDS, Postgres
from testkit.session import Servers
from tests.support.postgres_polls import fetch, opened, sql
from tests.support.tls_servers import TlsPostgres

SECRET = "s3cret-é"
USERS = {
    "in_clear": "password",
    "by_md5": "md5",
    "by_scram": "scram-sha-256",
    "trusted": "trust",
    "slow": "scram-sha-256",
}


@pytest.fixture(scope="module", autouse=True)
async def _one_loop(anyio_backend: object) -> AsyncIterator[None]:  # noqa: ARG001 - it is for this loop
    yield
    await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    """Return a server with a user for each method."""
    with servers.private_postgres("18") as server:
        for user in USERS:
            encryption = "md5" if user == "by_md5" else "scram-sha-256"
            rounds = 1_000_000 if user == "slow" else 4096
            server.psql(f"SET password_encryption = '{encryption}'; SET scram_iterations = {rounds};"
                        f"CREATE ROLE {user} LOGIN PASSWORD '{SECRET}' IN ROLE pg_monitor")  # fmt: skip
        lines = [f"host all {user} all {method}\n" for user, method in USERS.items()]
        hba = server.data / "pg_hba.conf"
        hba.write_text("".join([*lines, "local all all trust\n", hba.read_text()]))
        server.psql("SELECT pg_reload_conf()")
        yield server


@pytest.fixture(scope="module")
async def encrypted(server: Postgres) -> AsyncIterator[TlsPostgres]:
    folder = temp_folder("certificates")
    folder.chmod(0o755)
    tls = TlsPostgres(server)
    await tls.show(Authority(folder).issue("127.0.0.1"))
    yield tls
    shutil.rmtree(folder)


def at(server: Postgres, user: str, query: str = "", password: str = SECRET) -> dict[str, Any]:
    url = f"postgresql://{user}@127.0.0.1:{server.port}/postgres?{query}".rstrip("?")
    return {"name": "db", "store": "postgres", "url": url, "password": password}


async def refusal(settings: dict[str, Any]) -> QueryError | None:
    async with opened(settings) as datastore:
        try:
            await within_deadline(datastore.ping, 10.0, datastore.reason)
        except QueryError as error:
            return error
    return None


async def test_each_method(server: Postgres) -> None:
    """It accepts the right password alone; only a password in clear is warned of, and once."""
    login._warned.clear()  # noqa: SLF001 - another test may have been warned
    with capture_logs() as logged:
        for user in (*USERS, "in_clear"):
            assert await refusal(at(server, user)) is None, user
    wrong = [await refusal(at(server, user, password="wrong")) for user in USERS if user != "trusted"]

    assert [line["event"][:27] for line in logged if line["log_level"] == "warning"] == ["sends the password in clear"]
    assert [error.reason if error else None for error in wrong] == ["auth"] * 4


async def test_forbidden_login_method_gets_no_password(server: Postgres) -> None:
    for user, method in USERS.items():
        name = "none" if method == "trust" else method
        others = ",".join(sorted({"password", "md5", "scram-sha-256", "none", "gss"} - {name}))
        for allowed in (name, f"!{'gss' if name != 'gss' else 'md5'}", f"{name},sspi"):
            assert await refusal(at(server, user, f"require_auth={allowed}")) is None, (user, allowed)
        for forbidden in (others, f"!{name}"):
            error = await refusal(at(server, user, f"require_auth={forbidden}"))
            assert error is not None
            assert error.reason == "auth", (user, forbidden)
            assert "which require_auth=" in str(error)


async def test_many_rounds_do_not_stop_the_loop(server: Postgres) -> None:
    """A million of them, which is work for a quarter of a second, are computed beside the loop."""
    began, all_began = time.thread_time(), time.process_time()
    error = await refusal(at(server, "slow"))

    assert error is None
    assert time.thread_time() - began < (time.process_time() - all_began) / 2


async def test_the_login_is_bound_to_the_certificate(server: Postgres, encrypted: TlsPostgres) -> None:
    """Over TLS it can be demanded, and a login of another kind, or without TLS, is refused before the password goes."""
    assert encrypted
    assert await refusal(at(server, "by_scram", "sslmode=require&channel_binding=require")) is None
    assert await refusal(at(server, "by_scram", "sslmode=require&channel_binding=disable")) is None
    assert await refusal(at(server, "by_scram", "sslmode=require")) is None
    for user, words in (("in_clear", "sslmode=require"), ("by_md5", "sslmode=require"), ("by_scram", "sslmode=disable"),
                        ("trusted", "sslmode=require")):  # fmt: skip
        error = await refusal(at(server, user, f"{words}&channel_binding=require"))
        assert error is not None, user
        assert error.reason == "auth"
        assert "channel_binding=require" in str(error)


async def test_large_answers_come_whole(server: Postgres, encrypted: TlsPostgres) -> None:
    """Twenty megabytes of rows, in plain and over TLS; beyond the bound the query alone fails."""
    assert encrypted
    large = sql("SELECT repeat('x', 1000) || n AS value FROM generate_series(1, 20000) n", timeout="20s")
    larger = sql("SELECT repeat('x', 1000) || n AS value FROM generate_series(1, 200000) n", timeout="20s")
    for mode in ("disable", "require"):
        async with opened(at(server, "by_scram", f"sslmode={mode}")) as datastore:
            await datastore.ping()
            rows = await fetch(datastore, large)
            with pytest.raises(QueryError, match="more than 32768 KiB in answer to one statement") as caught:
                await fetch(datastore, larger)
            assert len(rows) == 20000
            assert str(rows[-1]["value"]).endswith("x20000")
            assert caught.value.reason == "limit"
            assert (await datastore.ping()).role == "primary"


async def test_the_peer_and_the_address(server: Postgres) -> None:
    """A socket's owner may be demanded; an address may stand beside the name that TLS and the password file know."""
    owner = server.folder.owner()
    local = f"postgresql://trusted@/postgres?host={server.folder}&port={server.port}&requirepeer="
    place = f"postgresql://by_scram@nowhere.invalid:{server.port}/postgres?hostaddr=127.0.0.1"
    target = {"name": "db", "store": "postgres", "password": SECRET}

    assert await refusal(target | {"url": local + owner}) is None
    error = await refusal(target | {"url": local + "somebody"})
    assert error is not None
    assert (error.reason, str(error)) == ("auth", f"the server runs as {owner}, not as requirepeer=somebody")
    assert await refusal(target | {"url": place}) is None


async def test_passwords_in_a_file_of_libpqs(server: Postgres, tmp_path: Any) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"# all\nother:*:*:*:no\n127.0.0.1:{server.port}:*:monitor:{PASSWORDS['monitor']}\n*:*:*:*:wrong\n")
    url = f"postgresql://monitor@127.0.0.1:{server.port}/postgres?passfile={file}"
    target = {"name": "db", "store": "postgres", "url": url}
    for mode, reason in ((0o600, None), (0o644, "auth")):
        file.chmod(mode)
        error = await refusal(target)
        assert (error and error.reason) == reason, (mode, getpass.getuser())
