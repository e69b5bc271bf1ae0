"""The process: its start, its drain and its end."""

import errno
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from exporter.web.server import everywhere
from testkit.process import free_port
from tests.support.commands import closed, ended
from tests.support.exporter_process import Exporter


@pytest.fixture
def one() -> Iterator[Exporter]:
    """Run an exporter whose only target is down."""
    with Exporter(closed("postgres")) as exporter:
        yield exporter


def test_start_with_all_targets_down() -> None:
    """All pages are served, and report it."""
    with Exporter(closed("postgres", "qdrant", "neo4j", "minio"), "10s") as exporter:
        exporter.wait(lambda: exporter.get("/startupz").status == 200, "every target to be tried")
        body = exporter.health()
        up = exporter.samples()["datatier_up"]

        assert (body["status"], exporter.get("/health").status) == ("fail", 503)
        assert {target["state"] for target in body["targets"].values()} == {"down"}
        assert [target["reasons"] for target in body["targets"].values()] == [[{"code": "connect"}]] * 4
        assert list(up.values()) == [0.0] * 4
        assert [exporter.get(path).status for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]

    assert "Traceback" not in exporter.last_log
    assert "hunter22" not in exporter.last_log


def test_default_address_listens_on_both_families() -> None:
    exporter = Exporter(closed("postgres"))
    exporter.write(closed("postgres"), listen=f"[::]:{exporter.port}")
    with exporter:
        for address in ("127.0.0.1", "::1"):
            with closing(HTTPConnection(address, exporter.port, timeout=5)) as client:
                client.request("GET", "/livez?x=1")
                assert client.getresponse().status == 200


@pytest.mark.parametrize("missing", [socket.AF_INET, socket.AF_INET6])
def test_machine_with_one_family_listens_on_it(monkeypatch: pytest.MonkeyPatch, missing: socket.AddressFamily) -> None:
    class Socket(socket.socket):
        def __init__(self, family: int) -> None:
            if family == missing:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family)

    there = {socket.AF_INET: "::", socket.AF_INET6: "0.0.0.0"}[missing]
    monkeypatch.setattr(socket, "socket", Socket)

    assert everywhere() == [there]


def test_sigterm_drains_and_is_exit_0() -> None:
    """/readyz fails at once, while scrapes are answered; then exit 0."""
    with Exporter(closed("postgres"), drain="2s") as exporter:
        drain(exporter)

    assert [f"event={event}" in exporter.last_log for event in ("starting", "draining", "stopped")] == [True] * 3
    assert "Traceback" not in exporter.last_log


def drain(one: Exporter) -> None:
    one.wait(lambda: one.get("/readyz").status == 200, "the start")
    assert one._process is not None  # noqa: SLF001 - signals go to the process
    one._process.send_signal(signal.SIGTERM)  # noqa: SLF001
    began = time.monotonic()
    one.wait(lambda: one.get("/readyz").status == 503, "the drain", 5)

    assert [one.get(path).status for path in ("/metrics", "/livez")] == [200, 200]
    assert one._process.wait(10) == 0  # noqa: SLF001
    assert time.monotonic() - began > 1.9


@pytest.mark.parametrize(
    "signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]], ids=["SIGINT", "SIGTERM twice"]
)
def test_ctrl_c_or_second_sigterm_ends_at_once(signals: list[signal.Signals]) -> None:
    with Exporter(closed("postgres"), drain="30s") as exporter:
        exporter.wait(lambda: exporter.get("/startupz").status == 200, "the start")
        assert exporter._process is not None  # noqa: SLF001
        began = time.monotonic()
        for number in signals:
            exporter._process.send_signal(number)  # noqa: SLF001
            time.sleep(0.1)

        assert exporter._process.wait(15) == 0  # noqa: SLF001
        assert time.monotonic() - began < 15


def test_head_has_headers_and_no_body(one: Exporter) -> None:
    """Over real HTTP, on one connection with what follows."""
    connection = HTTPConnection("127.0.0.1", one.port, timeout=5)
    connection.request("HEAD", "/metrics")
    answer = connection.getresponse()
    assert (answer.status, answer.read(), answer.headers["server"]) == (200, b"", None)
    assert int(answer.headers["content-length"]) > 1000

    connection.request("GET", "/livez")
    assert connection.getresponse().read() == b"ok\n"
    connection.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on the PATH")
def test_curl_reads_a_compressed_page_completely(one: Exporter) -> None:
    """The client reads only the first gzip stream of a body."""
    command = ["curl", "-sS", "--compressed", f"http://127.0.0.1:{one.port}/metrics"]
    page = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert "datatier_up{" in page
    assert "datatier_build_info{" in page


def test_crash_ends_the_process(tmp_path: Path) -> None:
    """An error in a poller is exit 1 and one line with the error; the process must not serve old data."""
    broken = "from exporter.polling.event_log import EventLogger; EventLogger.log = lambda *_: 1 / 0"
    code = f"{broken}; from exporter import cli; raise SystemExit(cli.main())"
    ran = ended(tmp_path, code, free_port())

    assert ran.returncode == 1
    [line] = [line for line in ran.stderr.splitlines() if "level=critical" in line]
    assert 'event="crashed, stopping"' in line
    assert "ZeroDivisionError" in line


def test_port_in_use_is_an_error(one: Exporter, tmp_path: Path) -> None:
    """The process ends, with a line that says why and no traceback."""
    ran = ended(tmp_path, "from exporter import cli; raise SystemExit(cli.main())", one.port)

    assert ran.returncode != 0
    assert "address already in use" in ran.stderr
    assert "Traceback" not in ran.stderr
