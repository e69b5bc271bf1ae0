"""Run one server in a temp folder of its own, and end it whatever happens to the run."""

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from testkit.guard import alive, descendants, signal_tree
from testkit.machine import guard, spawn, temp_folder

LOG_LINES = 30
_GIVEN: set[int] = set()  # the ports of this run


class StartError(Exception):
    """A server that is here did not start; carries the end of its log."""


class Process(ABC):
    """One server: a process, a temp folder, a life cycle.

    `stop` keeps the data and the ports for the next `start`; `close` removes the folder. A subclass says
    what to do before the first start, the command, and how to see that the server is ready.
    """

    stop_signal = signal.SIGTERM
    start_seconds = 60.0
    as_ourselves = False  # True for Python programs: the user `nobody` may not enter our Python's folder

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._folder: Path | None = None
        self._prepared = False
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _ready(self) -> bool: ...

    def _prepare(self) -> None:  # noqa: B027 - most servers need nothing
        """Fill the folder before the first start."""

    def _environment(self) -> dict[str, str]:
        return {}

    @property
    def folder(self) -> Path:
        """Return the server's temp folder, made at first use."""
        if self._folder is None:
            self._folder = temp_folder(self.kind)
            atexit.register(self.close)
        return self._folder

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """Return the process id, or None when the server does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> Self:
        """Start the server, or leave a running one alone, and wait until it answers."""
        if self.pid is None:
            self.kill()  # what is left of one that ended by itself
            if not self._prepared:
                self._prepare()
                self._prepared = True
            self._process = spawn(
                self._command(), self.folder, self._environment(), self.log, as_ourselves=self.as_ourselves
            )
            guard.tell(f"started {self._process.pid} {self.stop_signal.value}")
            self.wait_ready(self._ready, self.start_seconds)
        return self

    def wait_ready(self, check: Callable[[], bool], timeout: float) -> None:
        """Wait until `check` is true; fail with the log's end when the process ends or the seconds pass."""
        deadline = time.monotonic() + timeout
        while not _succeeds(check):
            if self.pid is None or time.monotonic() > deadline:
                problem = "ended" if self.pid is None else f"was not ready after {timeout:.0f} s"
                tail = self.log_tail()
                self.stop()
                raise StartError(f"{self.kind} {problem}; the end of its log:\n{tail}")
            time.sleep(0.05)

    def log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-LOG_LINES:])

    def stop(self, seconds: float = 20.0) -> None:
        """Ask the server to end, and kill it when it does not within `seconds`."""
        if self._process is None:
            return
        if self.pid is not None:
            self.thaw()
            self._process.send_signal(self.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End the server and its children at once, as a crash would; `start` brings it back."""
        if self._process is None:
            return
        family = descendants(self._process.pid)
        if self.pid is not None:
            signal_tree(self._process.pid, signal.SIGKILL)
        self._process.wait()
        _wait_gone(family)
        guard.tell(f"ended {self._process.pid}")
        self._process = None

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def freeze(self) -> None:
        """Stop the server's and its children's execution: connections stay open, nothing answers."""
        if self.pid is not None:
            signal_tree(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self.pid is not None:
            signal_tree(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            guard.tell(f"removed {self._folder}")
            self._folder = None
            self._prepared = False
            atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def free_port() -> int:
    """Return a free port below those of outgoing connections: a restarted server needs it again.

    None is given twice, nor to two workers: between the choice of a port and a server's first breath lies a whole copy
    of its primary.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = random.randrange(15000 + worker, 32000, workers)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _GIVEN:
                _GIVEN.add(port)
                return port


def _succeeds(check: Callable[[], bool]) -> bool:
    with suppress(OSError):
        return check()
    return False


def _wait_gone(pids: list[int]) -> None:
    """Wait until children of a killed server are gone: PostgreSQL refuses to start beside them."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(map(alive, pids)):
        time.sleep(0.01)
