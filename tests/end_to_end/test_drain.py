"""SIGTERM with real servers, clients that scrape without pause, and servers that fail during the drain."""

import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.postgres import Postgres
from testkit.process import Process
from testkit.qdrant import Qdrant
from testkit.session import Servers
from tests.support.exporter_process import Exporter

DRAIN = 5.0  # the default
WITHIN = 10.0  # seconds that the end may take
UNREADY = 503
_OPEN = ("01", "08")  # established; closed by the other side
_NOTHING = 0  # the signal that does nothing

Tier = dict[str, Postgres | Neo4j | Minio | Qdrant]


class Scrape(NamedTuple):
    """What a client received: a status, or the point at which the connection ended."""

    began: float
    outcome: int | str


class Scraper(threading.Thread):
    """Scrape without pause until connections are refused."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__()
        self.scrapes: list[Scrape] = []
        self._port = port
        self._path = path

    def run(self) -> None:
        while not self.scrapes or self.scrapes[-1].outcome != "refused":
            self.scrapes.append(Scrape(time.monotonic(), self._scrape()))

    def _scrape(self) -> int | str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", self._path, headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
        except ConnectionRefusedError:
            return "refused"
        except (http.client.HTTPException, OSError):
            return "without an answer"
        try:
            answer.read()
        except (http.client.HTTPException, OSError):
            return "cut"
        finally:
            connection.close()
        return answer.status


@pytest.fixture(scope="module")
def tier(servers: Servers) -> Iterator[Tier]:
    with (
        servers.private_postgres("18") as postgres,
        servers.private_neo4j("5.26") as neo4j,
        servers.private_minio() as minio,
        servers.private_qdrant() as qdrant,
    ):
        yield {"postgres": postgres, "neo4j": neo4j, "minio": minio, "qdrant": qdrant}


class Load:
    """Four clients that scrape and one that asks for readiness, all without a pause."""

    def __init__(self, port: int) -> None:
        self.scrapers = [Scraper(port, "/metrics") for _ in range(4)]
        self.readiness = Scraper(port, "/readyz")

    def __enter__(self) -> Self:
        for thread in (*self.scrapers, self.readiness):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in (*self.scrapers, self.readiness):
            thread.join()

    def begun(self) -> bool:
        return all(thread.scrapes for thread in (*self.scrapers, self.readiness))

    def scrapes(self) -> list[Scrape]:
        return [scrape for scraper in self.scrapers for scrape in scraper.scrapes]


@contextmanager
def loaded(tier: Tier, drain: str = f"{DRAIN:.0f}s") -> Iterator[tuple[Exporter, Load]]:
    """Run the exporter under load, with a connection to every server."""
    for server in tier.values():
        server.start()
    with Exporter([server.target(name) for name, server in tier.items()], drain=drain) as exporter:
        for name, server in tier.items():
            exporter.wait(lambda port=server.port: connections(port) > 0, f"a connection to {name}")  # type: ignore[misc]
        with Load(exporter.port) as load:
            try:
                exporter.wait(load.begun, "the load")
                yield exporter, load
            finally:
                exporter.stop(signal.SIGKILL)  # if it runs still, so that the clients end


def connections(port: int) -> int:
    """Count the connections of a server that are open, or half closed."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return sum(int(row[1].rpartition(":")[2], 16) == port and row[3] in _OPEN for row in rows)


def seconds_to_end(exporter: Exporter) -> float:
    """Wait for the end, and return how long it took; exit 0 is the only good one."""
    began = time.monotonic()
    assert exporter.stop(_NOTHING) == 0
    return time.monotonic() - began


def all_gone(tier: Tier) -> bool:
    deadline = time.monotonic() + 20
    while (left := sum(connections(server.port) for server in tier.values())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left == 0


def test_drain_answers_all_scrapes(tier: Tier) -> None:
    """/readyz fails first, all scrapes are answered during the drain, then the listener and all connections close."""
    with loaded(tier) as (exporter, load):
        os.kill(exporter.pid, signal.SIGTERM)
        signalled = time.monotonic()
        seconds = seconds_to_end(exporter)
        gone = all_gone(tier)
    scrapes, asked = load.scrapes(), load.readiness.scrapes
    unready = min(one.began for one in asked if one.outcome == UNREADY)
    drained = signalled + DRAIN - 0.5
    draining = [one.outcome for one in scrapes if unready < one.began < drained]

    assert seconds < WITHIN, seconds
    assert gone
    assert len(draining) > 10
    assert set(draining) == {200}
    assert {one.outcome for one in asked if unready <= one.began < drained} == {UNREADY}
    assert {one.outcome for one in asked if one.began < unready} <= {200}
    assert {one.outcome for one in scrapes} <= {200, "refused", "without an answer"}


def test_second_sigterm_ends_despite_frozen_servers(tier: Tier) -> None:
    """It waits neither for the drain nor for a server."""
    try:
        with loaded(tier, drain="60s") as (exporter, _):
            for server in tier.values():
                server.freeze()
            os.kill(exporter.pid, signal.SIGTERM)
            exporter.wait(lambda: exporter.get("/readyz").status == UNREADY, "the drain", 5)
            os.kill(exporter.pid, signal.SIGTERM)
            seconds = seconds_to_end(exporter)
    finally:
        for server in tier.values():
            server.thaw()

    assert seconds < WITHIN, seconds
    assert "Traceback" not in exporter.last_log


@pytest.mark.parametrize("harm", [Process.freeze, Process.kill], ids=["frozen", "killed"])
def test_servers_that_fail_while_draining_do_not_delay_the_end(tier: Tier, harm: Callable[[Process], None]) -> None:
    """All four at once: scrapes are answered, and the process ends in time with exit 0."""
    try:
        with loaded(tier) as (exporter, load):
            os.kill(exporter.pid, signal.SIGTERM)
            signalled = time.monotonic()
            exporter.wait(lambda: exporter.get("/readyz").status == UNREADY, "the drain", 5)
            ill = time.monotonic()
            for server in tier.values():
                harm(server)
            seconds_to_end(exporter)
            seconds = time.monotonic() - signalled
    finally:
        for server in tier.values():
            server.thaw()
    answered = {one.outcome for one in load.scrapes() if ill < one.began < signalled + DRAIN - 0.5}

    assert seconds < WITHIN, seconds
    assert answered == {200}
    assert "cut" not in {one.outcome for one in load.scrapes()}
    assert "Traceback" not in exporter.last_log
    assert all_gone(tier)
