"""HAProxy, set up as in how-to/health-checks.md, leads clients to the right PostgreSQL: a promotion, a stop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from typing import NamedTuple

import psycopg
import pytest
import yaml

from testkit import Unavailable
from testkit.debian import program
from testkit.haproxy import Haproxy
from testkit.postgres import PASSWORDS, Postgres
from testkit.process import free_port
from testkit.session import Servers
from tests.support.documented import pieces
from tests.support.exporter_process import Exporter

PATIENCE = 120
WRITE = (
    "INSERT INTO customers (email, name) VALUES (gen_random_uuid()::text, 'by haproxy') RETURNING inet_server_port()"
)
READ = "SELECT inet_server_port()"


class Outcome(NamedTuple):
    at: float
    server: int | None  # its port; None for an error


class Client(threading.Thread):
    """Ask by a new connection, ten times a second, and keep who answered."""

    def __init__(self, port: int, statement: str) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []
        self._login = f"postgresql://postgres:{PASSWORDS['postgres']}@127.0.0.1:{port}/app?connect_timeout=5"
        self._statement = statement
        self._left = threading.Event()

    def run(self) -> None:
        while not self._left.wait(0.1):
            self.outcomes.append(Outcome(time.monotonic(), self._ask()))

    def end(self) -> None:
        self._left.set()
        self.join()

    def servers(self) -> list[int]:
        """Return who answered, each once in a row."""
        return [server for server, _ in groupby(one.server for one in self.outcomes if one.server is not None)]

    def errors(self) -> list[float]:
        return [one.at for one in self.outcomes if one.server is None]

    def answered_since(self, moment: float) -> bool:
        return any(one.server is not None for one in self.outcomes if one.at > moment)

    def _ask(self) -> int | None:
        try:
            with psycopg.connect(self._login, autocommit=True) as connection:
                row = connection.execute(self._statement).fetchone()
                assert row is not None
                return int(row[0])
        except psycopg.Error:
            return None


class Watch(threading.Thread):
    """Keep every change of a server's status that HAProxy shows."""

    def __init__(self, haproxy: Haproxy) -> None:
        super().__init__()
        self._haproxy = haproxy
        self._left = threading.Event()
        self.changes: dict[str, list[str]] = {server: [status] for server, status in haproxy.statuses().items()}

    def run(self) -> None:
        while not self._left.wait(0.1):
            for server, status in self._haproxy.statuses().items():
                if status != self.changes[server][-1]:
                    self.changes[server].append(status)

    def end(self) -> None:
        self._left.set()
        self.join()


class Tier(NamedTuple):
    """The two servers behind HAProxy, and its two ports."""

    first: Postgres
    second: Postgres
    haproxy: Haproxy
    write: int
    read: int


@pytest.fixture
def tier(servers: Servers) -> Iterator[Tier]:
    try:
        program("haproxy")
    except Unavailable as reason:
        servers.skip("haproxy", str(reason))
    with servers.private_postgres("18") as first, first.replica() as second:
        write, read = free_port(), free_port()
        with (
            Exporter([documented_target(0, first), documented_target(1, second)]) as exporter,
            Haproxy(settings(exporter.port, write, read, (first.port, second.port))) as haproxy,
        ):
            exporter.wait_up("orders-1", "orders-2")
            yield Tier(first, second, haproxy, write, read)


def documented_target(place: int, server: Postgres) -> dict[str, object]:
    """Return the page's target, at a server of ours."""
    documented = yaml.safe_load(pieces("how-to/health-checks.md", "yaml")[0])["targets"][place]
    del documented["password_file"]
    return server.target(**{key: value for key, value in documented.items() if key not in ("store", "url")})


def settings(exporter: int, write: int, read: int, servers: tuple[int, int]) -> str:
    """Return the page's configuration, with our addresses."""
    [text] = pieces("how-to/health-checks.md", "haproxy")
    for documented, ours in {
        "bind :5000": f"bind 127.0.0.1:{write}",
        "bind :5001": f"bind 127.0.0.1:{read}",
        "port 9187": f"port {exporter}",
        "10.0.0.11:5432": f"127.0.0.1:{servers[0]}",
        "10.0.0.12:5432": f"127.0.0.1:{servers[1]}",
    }.items():
        assert documented in text
        text = text.replace(documented, ours)
    return text


def roles(haproxy: Haproxy) -> dict[str, str]:
    """Return which servers take writes."""
    statuses = haproxy.statuses()
    return {server: statuses[f"primary/{server}"] for server in ("orders-1", "orders-2")}


@contextmanager
def running(*threads: Client | Watch) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.end()


def wait(condition: Callable[[], bool], what: str) -> float:
    """Wait until a condition holds, and return when that was."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"in vain for {what}"
        time.sleep(0.05)
    return time.monotonic()


def test_a_promotion_and_a_stop_without_a_flap(tier: Tier) -> None:
    """Writes follow the primary, reads find a replica or the primary; each server changes once for each real change."""
    first, second, haproxy = tier.first, tier.second, tier.haproxy
    begun = {
        "primary/orders-1": "UP",
        "primary/orders-2": "DOWN",
        "replicas/orders-1": "DOWN",
        "replicas/orders-2": "UP",
    }
    wait(lambda: haproxy.statuses() == begun, "HAProxy to know the roles")
    writes, reads, watch = Client(tier.write, WRITE), Client(tier.read, READ), Watch(haproxy)
    rejoined = second.replica()
    rejoined.port = first.port
    with closing(rejoined), running(writes, reads, watch):
        wait(lambda: bool(writes.servers() and reads.servers()), "both clients")
        calm = time.monotonic()

        first.stop()
        stopped = time.monotonic()
        second.psql("SELECT pg_promote()")
        wait(lambda: roles(haproxy) == {"orders-1": "DOWN", "orders-2": "UP"}, "the promotion to be followed")
        followed = wait(lambda: writes.answered_since(stopped), "writes to go on")
        settled = wait(lambda: haproxy.statuses()["replicas/orders-2"] == "DOWN", "the old role to be over")

        first.close()
        rejoined.start()
        wait(lambda: haproxy.statuses()["replicas/orders-1"] == "UP", "the old primary as a replica")
        wait(lambda: reads.servers()[-1] == rejoined.port, "reads to use it")
        rejoined.stop()
        gone = time.monotonic()
        wait(lambda: haproxy.statuses()["replicas/orders-1"] == "DOWN", "the stop to be noticed")
        back = wait(lambda: reads.answered_since(gone), "reads to go on")

    assert watch.changes == {
        "primary/orders-1": ["UP", "DOWN"],
        "primary/orders-2": ["DOWN", "UP"],
        "replicas/orders-1": ["DOWN", "UP", "DOWN"],
        "replicas/orders-2": ["UP", "DOWN"],
    }
    assert writes.servers() == [first.port, second.port]
    assert reads.servers() == [second.port, first.port, second.port]
    assert [at for at in writes.errors() if not calm - 1 < at < followed] == []
    changing = ((stopped, settled + 1), (gone - 1, back))  # between two verdicts a read may meet nobody
    assert [at for at in reads.errors() if not any(begin < at < end for begin, end in changing)] == []
