"""An exporter that is ill itself: it says so, and takes nothing out of service; servers that are down stay down."""

import http.client
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.support.exporter_process import Exporter
from tests.support.health_schema import valid
from tests.support.unreachable import GROUP, targets


class Line:
    """One connection, held open: a process without descriptors accepts no new one."""

    def __init__(self, exporter: Exporter) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=10)

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def health(self) -> dict[str, Any]:
        return valid(json.loads(self.get("/health")[1]))


def states(line: Line) -> set[str]:
    return {target["state"] for target in line.health()["targets"].values()}


@contextmanager
def without_descriptors(exporter: Exporter) -> Iterator[None]:
    """Let the process open nothing more; what it holds stays open."""
    before = resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    yield
    resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, before)


def test_without_descriptors_nobody_is_down() -> None:
    """They are when the exporter can ask, before and after; alive it is all the time."""
    with Exporter(targets("127.0.0.1"), **GROUP) as exporter, closing(Line(exporter)) as line:
        exporter.wait(lambda: states(line) == {"down"}, "all to be down")
        assert (line.get("/health")[0], line.get("/readyz")[0], line.get("/livez")[0]) == (503, 503, 200)

        with without_descriptors(exporter):
            exporter.wait(lambda: states(line) == {"unknown"}, "all to be unknown")
            body = line.health()
            assert body["status"] == "warn"
            assert [target["reasons"] for target in body["targets"].values()] == [
                [{"code": "connect", "local": "resources"}]
            ] * 4
            assert body["notes"][0].startswith("the exporter has run out of file descriptors")
            assert (line.get("/health")[0], line.get("/readyz")[0], line.get("/livez")[0]) == (200, 200, 200)
            assert b"datatier_target_state" in line.get("/metrics")[1]

        exporter.wait(lambda: states(line) == {"down"}, "all to be down again")
        assert line.get("/readyz")[0] == 503
        assert exporter.stop() == 0
    assert "Traceback" not in exporter.last_log


# Bring up the loopback of a namespace that has nothing else; run the exporter there; print what it says of its targets.
OFFLINE = """
import json, subprocess, sys
from tests.support.exporter_process import Exporter
from tests.support.unreachable import GROUP, targets

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with Exporter(targets(sys.argv[1]), **GROUP) as exporter:
    exporter.wait(lambda: exporter.health()["notes"][0].startswith("the exporter"), "the exporter to see it is offline")
    exporter.wait(lambda: exporter.health()["targets"]["minio"]["state"] == "unknown", "all states")
    print(json.dumps({"health": exporter.health(), "readyz": exporter.get("/readyz?verbose").body.decode()}))
"""


@pytest.mark.parametrize(("host", "fault"), [("db1.example", "dns"), ("192.0.2.7", "network")])
def test_without_a_network_nobody_is_down(host: str, fault: str) -> None:
    """Neither by name nor by address; readiness stays open, with a note."""
    offline = ("unshare", "--map-root-user", "--net")
    if subprocess.run([*offline, "ip", "link"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    command = [*offline, sys.executable, "-c", OFFLINE, host]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)

    assert said["health"]["status"] == "warn"
    assert {target["state"] for target in said["health"]["targets"].values()} == {"unknown"}
    assert {target["reasons"][0]["local"] for target in said["health"]["targets"].values()} == {fault}
    assert said["readyz"].endswith(f"note: {said['health']['notes'][0]}\nreadyz check passed\n")
