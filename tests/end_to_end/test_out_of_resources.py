"""An exporter without file descriptors or threads: what it cannot do now it does later."""

import resource
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from testkit.session import Servers
from tests.support.commands import closed
from tests.support.exporter_process import Exporter, Patched


@pytest.mark.servers("qdrant")
def test_exhausted_file_descriptors_are_survived(servers: Servers) -> None:
    """Who is connected is served on; what needs a new descriptor fails with a reason, and works again after."""
    targets = [servers.qdrant().target("held"), *closed("postgres")]
    with Exporter(targets) as exporter:
        exporter.wait_up("held")
        connection = HTTPConnection("127.0.0.1", exporter.port, timeout=10)
        assert asked(connection, "/livez") == (200, b"ok\n")
        usual = resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, (first_unused_descriptor(exporter.pid), usual[1]))
        seen = [asked(connection, "/metrics")]
        time.sleep(4)  # some polls
        seen += [asked(connection, path) for path in ("/metrics", "/livez", "/health/targets/held")]
        assert exporter.get("/livez").status == 0
        resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, usual)

        assert [status for status, _ in seen] == [200] * 4
        assert b'datatier_up{store="qdrant",target="held"} 1.0' in seen[1][1]
        assert b'datatier_target_failure{store="postgres",target="postgres",reason="connect"} 1.0' in seen[1][1]
        exporter.wait(lambda: exporter.get("/livez").status == 200, "new connections")
        connection.close()
    assert "Traceback" not in exporter.last_log


def first_unused_descriptor(pid: int) -> int:
    """Return the lowest descriptor that is not open all the time: a poll opens some for a moment."""
    lasting = open_descriptors(pid)
    end = time.monotonic() + 3  # some polls
    while time.monotonic() < end:
        lasting &= open_descriptors(pid)
        time.sleep(0.005)
    return next(number for number in range(len(lasting) + 1) if number not in lasting)


def open_descriptors(pid: int) -> set[int]:
    return {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}


def asked(connection: HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


STARVED = """
import os, resource, threading
from exporter.polling import manager
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
load, tries, turn = manager.load_client, [], threading.Lock()
def starved(store):
    with turn:  # two at a time would give each other what is taken away here
        tries.append(store)
        held = []
        try:
            while len(tries) < 3:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            return load(store)
        finally:
            for descriptor in held:
                os.close(descriptor)
manager.load_client = starved
"""


THREADLESS = """
import threading
start = threading.Thread.start
def refused(thread):
    if thread.name.startswith("asyncio"):
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = refused
"""


@pytest.mark.servers("postgres", "qdrant")
def test_client_that_cannot_be_imported_takes_only_its_target_down(servers: Servers) -> None:
    """Without descriptors for the import; it is tried again at each poll, and then the target is well."""
    targets = [servers.postgres().target("postgres"), servers.qdrant().target("qdrant")]
    with Patched(targets, STARVED) as exporter:
        exporter.wait_up(*[str(target["name"]) for target in targets])
        assert exporter.get("/startupz").status == 200
        failures = exporter.samples()["datatier_poll_failures_total"]

    assert sum(count for labels, count in failures.items() if ("reason", "connect") in labels) >= 2
    assert "Too many open files" in exporter.last_log
    assert "crashed" not in exporter.last_log


@pytest.mark.servers("postgres", "qdrant")
def test_machine_without_threads_is_survived(servers: Servers) -> None:
    """The import, pages, gzip and a reload are done on the event loop then."""
    targets = [servers.postgres().target("postgres"), servers.qdrant().target("qdrant")]
    with Patched(targets, THREADLESS) as exporter:
        exporter.wait_up("postgres", "qdrant")
        answers = {
            path: exporter.get(path, **{"Accept-Encoding": "gzip"}).status
            for path in ("/metrics", "/", "/targets/qdrant")
        }
        exporter.reload(targets, thresholds={"response_seconds": {"warn": 3, "fail": 4}})

        assert set(answers.values()) == {200}
        assert exporter.value("datatier_config_last_reload_successful") == 1
    assert "crashed" not in exporter.last_log
