"""The servers that the other integration tests stand on: they answer, survive, freeze and leave nothing behind."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio as Client

from testkit import Unavailable
from testkit.debian import PACKAGES, libraries, unpacked
from testkit.guard import alive, descendants
from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.postgres import PASSWORDS, Postgres
from testkit.postgres_programs import VERSIONS
from testkit.process import Process, StartError
from testkit.session import Servers
from tests.support.paths import ROOT

FREEZE_SECONDS = 0.5
C_LIBRARY = {"libc", "libm", "libdl", "libpthread", "librt", "libresolv", "libutil", "libanl"}


def announced(*names: str) -> list[object]:
    """Return parameters that are a server's version each, and announce these servers."""
    return [pytest.param(name.partition(":")[2], marks=pytest.mark.servers(name)) for name in names]


each_postgres = pytest.mark.parametrize("version", announced(*(f"postgres:{version}" for version in VERSIONS)))
each_neo4j = pytest.mark.parametrize("version", announced("neo4j:5.26", "neo4j:2026.02"))
each_minio = pytest.mark.parametrize("drives", [1, 4])


def test_target_is_an_entry_of_the_configuration() -> None:
    """Every kind names its store, its address and its login, and takes further keys."""
    postgres, neo4j, minio = Postgres("17"), Neo4j("5.26"), Minio()

    assert postgres.target("orders", required=False) == {
        "name": "orders",
        "store": "postgres",
        "url": f"postgresql://monitor@127.0.0.1:{postgres.port}/postgres",
        "password": PASSWORDS["monitor"],
        "required": False,
    }
    assert neo4j.target("graph") == {
        "name": "graph",
        "store": "neo4j",
        "url": f"bolt://127.0.0.1:{neo4j.port}",
        "user": "neo4j",
        "password": neo4j.password,
    }
    assert minio.target("objects") == {
        "name": "objects",
        "store": "minio",
        "url": f"http://127.0.0.1:{minio.port}",
        "access_key": minio.access_key,
        "secret_key": minio.secret_key,
    }


@each_postgres
def test_postgres_answers_as_superuser_and_as_monitor(servers: Servers, version: str) -> None:
    """Each version has the monitoring user, the statistics extension and the shop's data."""
    server = servers.postgres(version)

    assert server.psql("SHOW server_version")[0][0].split(".")[0] == version
    assert server.psql("SELECT count(*) FROM orders", "app") == [("2000",)]
    assert server.psql("SELECT count(*) > 0 FROM pg_stat_statements", user="monitor") == [("t",)]
    assert server.psql("SHOW track_io_timing", user="monitor") == [("on",)]


@each_postgres
def test_postgres_keeps_port_and_data(servers: Servers, version: str) -> None:
    """Restart and crash keep what was written."""
    with servers.private_postgres(version) as server:
        port = server.port
        server.psql("CREATE TABLE kept AS SELECT 1 AS one")
        server.restart()
        server.kill()
        server.start()

        assert server.port == port
        assert server.psql("SELECT one FROM kept") == [("1",)]


@each_postgres
def test_postgres_freezes_with_all_its_processes(servers: Servers, version: str) -> None:
    """A frozen server accepts no query, neither does a connection it already had; thawed, it answers."""
    with servers.private_postgres(version) as server:
        assert_freezes(server, lambda: server.psql("SELECT 1"))


@each_postgres
def test_postgres_leaves_nothing_behind(servers: Servers, version: str) -> None:
    """Closing ends the postmaster and its children and removes the folder."""
    assert_leaves_nothing(servers.private_postgres(version))


@pytest.mark.parametrize("version", announced(*(f"replica:{version}" for version in VERSIONS)))
def test_replica_streams(servers: Servers, version: str) -> None:
    """What the primary writes arrives, through a slot."""
    primary, replica = servers.postgres(version), servers.replica(version)
    primary.psql("CREATE TABLE IF NOT EXISTS streamed (n integer); INSERT INTO streamed VALUES (1)")
    written = primary.psql("SELECT pg_current_wal_lsn()")[0][0]
    replayed = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
    replica.wait_ready(lambda: replica.psql(replayed) == [("t",)], timeout=10)

    assert replica.psql("SELECT pg_is_in_recovery()") == [("t",)]
    assert replica.psql("SELECT count(*) > 0 FROM streamed") == [("t",)]
    assert ("t",) in primary.psql("SELECT active FROM pg_replication_slots WHERE slot_type = 'physical'")


def test_postgres_takes_settings(servers: Servers) -> None:
    """A setting of the test's own wins over ours."""
    with servers.private_postgres("18", {"max_connections": "33", "wal_level": "logical"}) as server:
        assert server.psql("SHOW max_connections") == [("33",)]
        assert server.psql("SHOW wal_level") == [("logical",)]


def test_a_server_that_does_not_start_shows_its_log() -> None:
    """The error carries the log's end, and nothing is left of the try."""
    with closing(Postgres("18", {"shared_buffers": "a lot"})) as server:
        with pytest.raises(StartError, match="shared_buffers"):
            server.start()

        assert server.pid is None


@each_neo4j
def test_neo4j_answers(servers: Servers, version: str) -> None:
    """Each version takes the password and runs Cypher."""
    server = servers.neo4j(version)

    assert server.run("CALL dbms.components()")[0]["versions"][0].startswith(version)
    assert server.run("RETURN $n + 1 AS n", n=41) == [{"n": 42}]


@each_neo4j
def test_neo4j_freezes_restarts_and_leaves_nothing(servers: Servers, version: str) -> None:
    """One private server for the three claims: it takes long to start."""
    server = servers.private_neo4j(version)
    server.run("CREATE (:Kept {n: 1})")
    assert_freezes(server, lambda: server.run("RETURN 1"))
    server.restart()

    assert server.run("MATCH (kept:Kept) RETURN kept.n AS n") == [{"n": 1}]
    assert_leaves_nothing(server)


@pytest.mark.servers("minio:1", "minio:4")
@each_minio
def test_minio_stores(servers: Servers, drives: int) -> None:
    """Objects come back, from one drive and from an erasure set."""
    server = servers.minio(drives)
    client = client_of(server)
    client.make_bucket("answers")
    client.put_object("answers", "one", BytesIO(b"1"), 1)
    with closing(client.get_object("answers", "one")) as answer:
        body = answer.data

    assert body == b"1"


@each_minio
def test_minio_freezes_restarts_and_leaves_nothing(servers: Servers, drives: int) -> None:
    """A restarted server has its buckets."""
    server = servers.private_minio(drives)
    client = client_of(server)
    client.make_bucket("kept")
    assert_freezes(server, lambda: urllib.request.urlopen(f"{server.url}/minio/health/live").close())
    server.restart()

    assert [bucket.name for bucket in client.list_buckets()] == ["kept"]
    assert_leaves_nothing(server)


def test_minio_takes_an_environment(servers: Servers) -> None:
    """Its metrics are readable by all when the environment says so."""
    with servers.private_minio(1, {"MINIO_PROMETHEUS_AUTH_TYPE": "public"}) as server:
        with urllib.request.urlopen(f"{server.url}/minio/v2/metrics/cluster") as answer:
            page = answer.read().decode()

        assert "minio_software_version_info" in page


@pytest.mark.servers("qdrant")
def test_qdrant_answers(servers: Servers) -> None:
    """The double, or the server of QDRANT_TEST_URL, says that it is ready."""
    with urllib.request.urlopen(f"{servers.qdrant().url}/readyz") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", PACKAGES)
def test_debian_programs_bring_their_libraries(servers: Servers, name: str) -> None:
    """Of the machine they use the C library alone: what is installed here may be absent elsewhere."""
    try:
        path = unpacked(name)
    except Unavailable as reason:
        servers.skip(name, str(reason))
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries(path)}
    told = subprocess.run(["ldd", str(path)], env=environment, check=False, capture_output=True, text=True)
    needed = [line.split() for line in told.stdout.splitlines() if "=>" in line]
    foreign = {words[0] for words in needed if not words[2].startswith(str(path.parents[2]))}

    assert needed or "not a dynamic executable" in told.stderr
    assert {name.partition(".so")[0] for name in foreign} <= C_LIBRARY


def test_a_killed_run_leaves_no_server(servers: Servers) -> None:
    """The guard ends the servers of a run that was killed, frozen ones too."""
    servers.private_postgres("18").close()
    program = (
        "import time; from testkit.postgres import Postgres; server = Postgres('18').start(); server.freeze();"
        "print(server.pid, server.folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        line = run.stdout.readline() if run.stdout else ""
        pid, folder = int(line.split()[0]), Path(line.split()[1])
        family = [pid, *descendants(pid)]
        run.kill()

    assert len(family) > 3
    assert soon(lambda: not any(map(alive, family)) and not folder.exists())


def client_of(server: Minio) -> Client:
    return Client(server.url.removeprefix("http://"), server.access_key, server.secret_key, secure=False)


def assert_freezes(server: Process, ask: Callable[[], object]) -> None:
    """Check that a question to a frozen server is answered only when the server is thawed."""
    server.freeze()
    with ThreadPoolExecutor(1) as pool:
        question = pool.submit(ask)
        answered, _ = wait([question], timeout=FREEZE_SECONDS)
        server.thaw()
        question.result(30)

    assert not answered


def assert_leaves_nothing(server: Process) -> None:
    """Check that closing ends every process of the server and removes its folder."""
    assert server.pid is not None
    family = [server.pid, *descendants(server.pid)]
    folder = server.folder
    server.close()

    assert not any(map(alive, family))
    assert not folder.exists()


def soon(check: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait until something becomes true."""
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.05)
    return check()
