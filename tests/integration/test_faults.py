"""A store that stops or freezes: what the user sees, and that nobody else does."""

import signal
from collections.abc import Callable

import pytest

from tests.integration.exporter_process import Exporter, names_of
from tests.servers.minio import Minio
from tests.servers.neo4j import Neo4j
from tests.servers.postgres import Postgres
from tests.servers.process import free_port
from tests.servers.qdrant import Qdrant
from tests.servers.session import Servers

Private = Postgres | Qdrant | Neo4j | Minio
PRIVATE: dict[str, Callable[[Servers], Private]] = {
    "postgres": lambda servers: servers.private_postgres("18"),
    "qdrant": lambda servers: servers.private_qdrant(api_key="a-key-of-the-test"),
    "neo4j": lambda servers: servers.private_neo4j("5.26"),
    "minio": lambda servers: servers.private_minio(1),
}
FAULTS: dict[str, tuple[Callable[[Private], object], Callable[[Private], object], set[str]]] = {
    "stopped": (lambda server: server.stop(), lambda server: server.start(), {"connect"}),
    "frozen": (lambda server: server.freeze(), lambda server: server.thaw(), {"timeout"}),
}


@pytest.mark.servers("qdrant", "postgres:18")
@pytest.mark.parametrize("store", PRIVATE)
def test_a_store_that_fails_takes_only_its_own_series(servers: Servers, store: str) -> None:
    """Stopped and frozen: its series vanish, up is 0 with the reason, the other target goes on, all comes back."""
    other = servers.postgres("18") if store == "qdrant" else servers.qdrant()
    with (
        PRIVATE[store](servers) as server,
        Exporter([server.target("victim"), other.target("other", required=False)], "2s") as exporter,
    ):
        exporter.wait_up("victim", "other")
        before = names_of(exporter.samples(), "victim")
        assert before

        for fault, (fail, mend, reasons) in FAULTS.items():
            fail(server)
            exporter.wait(lambda: exporter.value("datatier_up", target="victim") == 0, f"up 0 when {fault}")
            samples = exporter.samples()
            health = exporter.health()["targets"]

            assert names_of(samples, "victim") == set()
            assert {reason["code"] for reason in health["victim"]["reasons"]} <= reasons
            assert health["other"]["state"] == "ok"
            assert names_of(samples, "other")

            exporter.wait(lambda: exporter.state("victim") == "down", f"the state down when {fault}")
            assert exporter.health()["status"] == "fail"

            mend(server)
            exporter.wait_up("victim")
            exporter.wait(lambda: before <= names_of(exporter.samples(), "victim"), f"all series after {fault}", 60)

        assert exporter.stop() == 0
    assert exporter.last_log.count("target down") == len(FAULTS)
    assert "Traceback" not in exporter.last_log


def test_it_starts_with_every_store_down() -> None:
    """Four dead addresses: it starts, /metrics and the probes answer, /health fails with reasons."""
    targets = [
        {"name": "pg", "store": "postgres", "url": f"postgresql://monitor@127.0.0.1:{free_port()}/postgres"},
        {"name": "qd", "store": "qdrant", "url": f"http://127.0.0.1:{free_port()}"},
        {"name": "neo", "store": "neo4j", "url": f"bolt://127.0.0.1:{free_port()}", "password": "something"},
        {"name": "s3", "store": "minio", "url": f"http://127.0.0.1:{free_port()}", "access_key": "somebody",
         "secret_key": "something"},
    ]  # fmt: skip
    with Exporter(targets) as exporter:
        exporter.wait(lambda: exporter.get("/startupz").status == 200, "the first attempts")
        exporter.wait(lambda: exporter.get("/health").status == 503, "/health to fail")
        health = exporter.health()
        samples = exporter.samples()

        assert {name: target["state"] for name, target in health["targets"].items()} == dict.fromkeys(
            ("pg", "qd", "neo", "s3"), "down"
        )
        assert {target["reasons"][0]["code"] for target in health["targets"].values()} == {"connect"}
        assert set(samples["datatier_up"].values()) == {0.0}
        assert exporter.get("/readyz").status == 200
        assert exporter.stop(signal.SIGINT) == 0
