"""Faults of the exporter itself: stuck, frozen, without a log, out of file descriptors, with a clock that jumps."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

import pytest

from testkit.process import free_port
from testkit.session import Servers
from tests.support.commands import closed, ended
from tests.support.exporter_process import RUN, Exporter, Patched
from tests.support.paths import ROOT


class Redirected(Exporter):
    """The exporter with its standard error somewhere else than in a file; None is closed."""

    def __init__(self, stderr: IO[bytes] | int | None) -> None:
        super().__init__(closed("qdrant"))
        self._stderr = stderr

    def launch(self) -> subprocess.Popen[bytes]:
        self.log.touch()
        closing = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"] if self._stderr is None else []
        return subprocess.Popen([*closing, *self.command()], cwd=ROOT, stderr=self._stderr)


def critical(ran: subprocess.CompletedProcess[str]) -> str:
    [line] = [line for line in ran.stderr.splitlines() if "level=critical" in line]
    return line


def test_blocked_loop_ends_the_process(tmp_path: Path) -> None:
    """It can answer no probe: the process ends, and the log has the stack."""
    code = "import time; from exporter.polling import event_log, watchdog; watchdog.EVERY = 0.2"
    ran = ended(tmp_path, f"{code}\nevent_log.EventLogger.log = lambda *_: time.sleep(60)\n{RUN}", free_port())

    assert ran.returncode == 1
    assert "stuck, ending the process" in critical(ran)
    assert "in publish" in critical(ran)


STUCK_POLLER = """
import asyncio
from exporter.state import events
events.fresh_seconds = lambda interval: interval
from exporter.polling import execution, poller, watchdog
watchdog.EVERY = 0.2
async def within_deadline(*_):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
poller.within_deadline = execution.within_deadline = within_deadline
"""


def test_stuck_poller_ends_the_process(tmp_path: Path) -> None:
    """A client that ignores every deadline: the log names the target, and the process ends all the same."""
    ran = ended(tmp_path, STUCK_POLLER + RUN, free_port())

    assert ran.returncode == 1
    assert "targets=postgres" in critical(ran)


HELD = """
import ctypes, os, re, signal
from exporter import settings
from exporter.polling import event_log, watchdog
watchdog._LAST_RESORT = 1.0
def in_c(*_):
    lock, libc = ctypes.create_string_buffer(64), ctypes.PyDLL(None)
    libc.pthread_mutex_lock(lock)
    libc.pthread_mutex_lock(lock)
def in_re(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    re.match("(-+)*x", "-" * 100)
def term(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    in_c()
"""


@pytest.mark.parametrize(
    ("held", "function"),
    [
        ("event_log.EventLogger.log = term", "in_c"),
        ("event_log.EventLogger.log = in_re", "in_re"),
        ("settings.load_config = in_c", "in_c"),
        ("watchdog.Watchdog.__exit__ = in_c; event_log.EventLogger.log = lambda *_: signal.raise_signal(15)", "in_c"),
    ],
)
def test_held_interpreter_lock_ends_the_process(tmp_path: Path, held: str, function: str) -> None:
    """A call into C that never returns blocks also signal handlers: while running, starting or ending."""
    ran = ended(tmp_path, f"{HELD}{held}\n{RUN}", free_port())

    assert ran.returncode == 1
    assert "Timeout (0:00:01)!" in ran.stderr
    assert f"in {function}" in ran.stderr


def test_held_interpreter_lock_ends_the_process_with_a_blocked_log(full_pipe: tuple[int, int]) -> None:
    _, writing = full_pipe
    code = f"{HELD}event_log.EventLogger.log = in_c\n{RUN}"
    config = f"{{listen: '127.0.0.1:{free_port()}', targets: {closed('qdrant')}}}"
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(config)
        file.flush()
        ran = subprocess.run(
            [sys.executable, "-c", code, "--config", file.name], cwd=ROOT, stderr=writing, timeout=20, check=False
        )

    assert ran.returncode == 1


def test_frozen_process_goes_on() -> None:
    """As a container that is paused and resumed."""
    with Patched(closed("qdrant"), "from exporter.polling import watchdog; watchdog.EVERY = 0.2") as exporter:
        os.kill(exporter.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(exporter.pid, signal.SIGCONT)
        polls = exporter.value("datatier_polls_total", target="qdrant") or 0
        exporter.wait(lambda: (exporter.value("datatier_polls_total", target="qdrant") or 0) > polls + 2, "more polls")

        assert exporter.get("/livez").status == 200
        assert exporter.stop() == 0


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """Return both ends of a full pipe."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b" " * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writing, True)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_blocked_log_delays_nothing(full_pipe: tuple[int, int]) -> None:
    """A collector hangs; the number of dropped lines is logged when it reads again."""
    reading, writing = full_pipe
    with Redirected(writing) as exporter:
        exporter.wait(lambda: exporter.get("/startupz").status == 200, "the first poll")
        for _ in range(16):
            os.read(reading, 4096)
        assert exporter.stop() == 0

    said = os.read(reading, 65536).decode().split("\n")
    assert [line.partition("event=")[2] for line in said if line.strip()] == [
        "draining seconds=0.5",
        '"log lines were lost: standard error could not be written" lines=2',
        "stopped",
    ]


@pytest.mark.parametrize("where", ["a full disk", "nobody", "nowhere"])
def test_unwritable_log_is_survived(where: str) -> None:
    """A full disk, a pipe without reader, and none at all: the process runs and ends as usual."""
    reading, writing = os.pipe()
    os.close(reading)
    with Path("/dev/full").open("wb") as full:
        runs_without_a_log(full if where == "a full disk" else writing if where == "nobody" else None)
    os.close(writing)


def runs_without_a_log(stderr: IO[bytes] | int | None) -> None:
    with Redirected(stderr) as exporter:
        exporter.wait(lambda: exporter.state("qdrant") == "down", "the first poll")

        assert exporter.get("/metrics").status == 200
        assert exporter.stop() == 0


JUMPY = """
import signal, time
wall, jumps = time.time, []
time.time = lambda: wall() + sum(jumps)
signal.signal(signal.SIGUSR1, lambda *_: jumps.append(7200))
signal.signal(signal.SIGUSR2, lambda *_: jumps.append(-7200))
"""


@pytest.mark.servers("qdrant")
def test_clock_jump_changes_nothing(servers: Servers) -> None:
    """Two hours forward and back: polls keep their interval, and nothing looks old, down or flapping.

    The check of the clock skew is off: it would rightly warn.
    """
    with Patched([servers.qdrant().target("search", checks={"clockSkew": False})], JUMPY) as exporter:
        exporter.wait_up("search")
        for jump in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(exporter.pid, jump)
            polls = exporter.value("datatier_polls_total") or 0
            began = time.monotonic()
            exporter.wait(lambda polls=polls: (exporter.value("datatier_polls_total") or 0) >= polls + 3, "three polls")  # type: ignore[misc]
            target = exporter.health()["targets"]["search"]

            assert time.monotonic() - began > 1
            assert (target["state"], target["flapping"]) == ("ok", False)
            assert target["data_age_seconds"] < 60
            assert exporter.get("/livez").status == 200
            assert exporter.value("datatier_polls_skipped_total") == 0
