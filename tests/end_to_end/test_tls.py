"""TLS to every store by the same keys: what is trusted, what is refused and why, what shows of certificates."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.datastores.caches import CachedFacts
from exporter.datastores.postgres.datastore import PostgresDatastore, PostgresSession, open_patroni
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from exporter.queries.conditions import ServerInfo
from testkit.certificates import Authority, Certificate
from testkit.machine import temp_folder
from testkit.neo4j import Neo4j
from testkit.session import Servers
from tests.support.collect import collect, target_of
from tests.support.tls_servers import Front, TlsMinio, TlsPgbouncer, TlsPostgres, TlsServer, neo4j_settings

pytestmark = pytest.mark.servers("minio:1", "qdrant")

HERE, ELSEWHERE = "127.0.0.1", "store.internal"
PROMPT_SECONDS = 10.0  # a refusal is none that waits for the deadline, which is 30 s here


@pytest.fixture(scope="module", autouse=True)
async def _one_loop(anyio_backend: object) -> AsyncIterator[None]:  # noqa: ARG001 - it is for this loop
    """Keep the loop for all tests: what was refused in one leaves its transport shortly after that has ended."""
    yield
    await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder for certificates that the servers' user may enter."""
    folder = temp_folder("certificates")
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Authority:
    return Authority(folder, "stranger")


@pytest.fixture(scope="module")
def neo4j(servers: Servers, authority: Authority) -> Iterator[tuple[Neo4j, Certificate]]:
    """Return a Neo4j that speaks TLS to those who want it, and its certificate."""
    certificate = authority.issue(HERE)
    with servers.private_neo4j("5.26", neo4j_settings(certificate)) as server:
        yield server, certificate


@pytest.fixture(scope="module", params=["postgres", "pgbouncer", "neo4j", "qdrant", "minio"])
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[TlsServer]:
    """Return each store's server with the TLS that a test wants: its own, or in front of what has but one."""
    with ExitStack() as stack:
        if request.param == "postgres":
            yield TlsPostgres(stack.enter_context(servers.private_postgres("18")))
        elif request.param == "pgbouncer":
            behind = stack.enter_context(servers.private_postgres("18"))
            yield TlsPgbouncer(stack.enter_context(servers.private_pgbouncer(behind)))
        elif request.param == "neo4j":
            yield stack.enter_context(Front(request.getfixturevalue("neo4j")[0], "bolt+s"))
        else:
            yield stack.enter_context(Front(getattr(servers, request.param)(), "https"))


@asynccontextmanager
async def opened(settings: dict[str, Any]) -> AsyncIterator[Datastore]:
    async with open_datastore(target_of(settings)) as datastore:
        yield datastore


async def ping(datastore: Datastore) -> ServerInfo:
    return await within_deadline(datastore.ping, 30.0, datastore.reason)


async def pinged(settings: dict[str, Any]) -> ServerInfo:
    async with opened(settings) as datastore:
        return await ping(datastore)


async def refusal(settings: dict[str, Any]) -> QueryError:
    """Return why the server cannot be had; it is known at once."""
    began = time.monotonic()
    with pytest.raises(QueryError) as caught:
        await pinged(settings)

    assert time.monotonic() - began < PROMPT_SECONDS
    return caught.value


async def test_a_certificate_that_is_vouched_for(server: TlsServer, authority: Authority) -> None:
    """The server is reached, and the metric has the day on which the certificate expires."""
    certificate = authority.issue(HERE)
    await server.show(certificate)
    info = await pinged(server.target(ca_file=authority.file))

    assert info.version
    assert info.tls_not_after == certificate.not_after


async def test_certificate_of_an_unknown_authority_is_rejected(
    server: TlsServer, authority: Authority, stranger: Authority
) -> None:
    """Neither an unknown authority nor those of the machine are enough, and the reason says what is wrong."""
    await server.show(authority.issue(HERE))

    for keys in ({"ca_file": stranger.file}, {"verify": True}):
        refused = await refusal(server.target(**keys))

        assert refused.reason == "connect"
        assert "unable to get local issuer certificate" in str(refused)


async def test_another_name(server: TlsServer, authority: Authority) -> None:
    """A certificate for another name is refused, and taken where the target says that this is its name."""
    certificate = authority.issue(ELSEWHERE)
    await server.show(certificate)
    refused = await refusal(server.target(ca_file=authority.file))
    info = await pinged(server.target(ca_file=authority.file, server_name=ELSEWHERE))

    assert refused.reason == "connect"
    assert "mismatch" in str(refused) or "does not match" in str(refused)
    assert info.tls_not_after == certificate.not_after


async def test_expired(server: TlsServer, authority: Authority) -> None:
    """It is refused with this reason; with `verify: false` it is polled, has its expiry, and is warned of once."""
    certificate = authority.issue(HERE, expired=True)
    await server.show(certificate)
    refused = await refusal(server.target(ca_file=authority.file))
    entry = server.target(verify=False)
    with capture_logs() as logged:
        info = await pinged(entry | {"url": entry["url"].replace("bolt+s:", "bolt+ssc:")})

    assert refused.reason == "connect"
    assert "certificate has expired" in str(refused)
    assert [line["event"][:15] for line in logged if line["log_level"] == "warning"] == ["does not verify"]
    assert info.tls_not_after == certificate.not_after


async def test_a_certificate_of_our_own(server: TlsServer, authority: Authority) -> None:
    """Where the server demands one, who has none is refused; with it, also for the look at the certificate."""
    certificate, ours = authority.issue(HERE), authority.issue("monitor")
    ours.key.chmod(0o600)  # libpq takes no key that others may read
    await server.show(certificate, clients=authority)
    refused = await refusal(server.target(ca_file=authority.file))
    keys = {"ca_file": authority.file, "cert_file": ours.file, "key_file": ours.key}
    info = await pinged(server.target(**keys))

    assert refused.reason in ("connect", "auth")
    assert info.tls_not_after == certificate.not_after


async def test_files_that_rotate(server: TlsServer, authority: Authority, stranger: Authority, tmp_path: Path) -> None:
    """The authority's file is read again at the next connection: no restart is needed."""
    file = tmp_path / "ca.pem"
    shutil.copy(stranger.file, file)
    await server.show(authority.issue(HERE))
    async with opened(server.target(ca_file=file)) as datastore:
        with pytest.raises(QueryError):
            await ping(datastore)

        shutil.copy(authority.file, file)

        assert (await ping(datastore)).version

        file.unlink()

        assert (await ping(datastore)).version  # on the connection that is there


@pytest.mark.parametrize("server", ["postgres", "pgbouncer", "qdrant", "minio"], indirect=True)
async def test_a_renewed_certificate_shows(
    server: TlsServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held connections have seen the old one, so a new one is made from time to time."""
    monkeypatch.setattr(CachedFacts, "expired", True)
    await server.show(authority.issue(HERE))
    async with opened(server.target(ca_file=authority.file)) as datastore:
        before = await ping(datastore)
        renewed = authority.issue(HERE, days=60)
        await server.show(renewed)
        if isinstance(datastore, PostgresDatastore):
            async with datastore.session("slow") as session:  # as is each minute's login, this is a new connection
                assert isinstance(session, PostgresSession)
                await session.rows("SELECT 1")
        after = await ping(datastore)

    assert before.tls_not_after != after.tls_not_after
    assert after.tls_not_after == renewed.not_after


async def test_neo4j_with_tls_of_its_own(
    neo4j: tuple[Neo4j, Certificate], authority: Authority, stranger: Authority
) -> None:
    """A key is enough to ask for TLS where the URL says nothing."""
    server, certificate = neo4j
    info = await pinged(server.target("graph", ca_file=authority.file))

    assert info.tls_not_after == certificate.not_after
    assert (await pinged(server.target("graph"))).tls_not_after is None
    assert "unable to get local issuer" in str(await refusal(server.target("graph", ca_file=stranger.file)))


async def test_minio_with_tls_of_its_own(servers: Servers, authority: Authority, stranger: Authority) -> None:
    """All that is read of MinIO comes over TLS."""
    servers.minio()  # where it cannot be built, neither can this one
    certificate = authority.issue(HERE)
    with TlsMinio(certificate) as server:
        collected = await collect(server.target("objects", ca_file=authority.file))
        refused = await refusal(server.target("objects", ca_file=stranger.file))

    assert collected.info.tls_not_after == certificate.not_after
    assert not collected.failures
    assert "unable to get local issuer" in str(refused)


async def test_postgres_as_libpq_says_it(servers: Servers, authority: Authority, stranger: Authority) -> None:
    """The URL's own parameters hold, and a target that encrypts without verifying has the certificate's expiry, too."""
    certificate = authority.issue(HERE)
    with servers.private_postgres("17") as plain:
        server = TlsPostgres(plain)
        await server.show(certificate)

        for said in ("", "?sslmode=require", f"?sslmode=verify-full&sslrootcert={authority.file}"):
            assert (await pinged(server.target(url=plain.url + said))).tls_not_after == certificate.not_after
        assert (await pinged(server.target(url=f"{plain.url}?sslmode=disable"))).tls_not_after is None
        for said in (f"?sslmode=verify-full&sslrootcert={stranger.file}", "?sslrootcert=system"):
            refused = await refusal(server.target(url=plain.url + said))

            assert refused.reason == "connect"
            assert "unable to get local issuer" in str(refused)


async def test_patroni_beside_it(servers: Servers, authority: Authority, stranger: Authority) -> None:
    """Its API is trusted by the target's authority, under the name of its own URL."""
    with Front(servers.qdrant(), "https") as front:  # any that answers JSON will do
        await front.show(authority.issue(HERE))
        url = front.target()["url"]
        for vouching, answered in ((authority, True), (stranger, False)):
            settings = {"name": "db", "store": "postgres", "url": "postgresql://db", "patroni": url}
            target = PostgresTarget.model_validate(settings | {"ca_file": vouching.file, "server_name": ELSEWHERE})
            api = open_patroni(target)
            assert api is not None
            if answered:
                assert "version" in await api.get("/")
            else:
                with pytest.raises(QueryError, match="unable to get local issuer"):
                    await api.get("/")
            await api.close()
