"""The exporter as its users have it: a process with a configuration file, asked over HTTP."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

from testkit.process import free_port
from tests.support.health_schema import valid
from tests.support.paths import ROOT

RUN = "from exporter import cli; raise SystemExit(cli.main())"

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]  # by name, then by sorted labels


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Exporter:
    """Run the exporter on some targets; `interval` is short, so that tests need not wait.

    root: the folder that holds the package `exporter`.
    """

    root = ROOT

    def __init__(self, targets: list[dict[str, Any]], interval: str = "1s", *options: str, **settings: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="datatier-exporter-")
        self.port = free_port()
        self.config = Path(self._folder.name) / "datatier.yaml"
        self.log = Path(self._folder.name) / "log"
        self._options = options
        self._settings = {
            "listen": f"127.0.0.1:{self.port}",
            "poll": {"interval": interval},
            "drain": "500ms",
            **settings,
        }
        self.write(targets)
        self.last_log = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def start(self) -> Self:
        """Start it, anew after `stop`, and wait until it answers."""
        self._process = self.launch()
        try:
            self.wait(lambda: self.get("/livez").status == 200, "the exporter to answer", 60)
        except AssertionError:
            self.stop(signal.SIGKILL)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.last_log = self.log.read_text()
        self._folder.cleanup()

    def write(self, targets: list[dict[str, Any]], **settings: Any) -> None:
        """Write the configuration file; settings that were given once stay."""
        self._settings |= settings
        self.config.write_text(yaml.safe_dump({**self._settings, "targets": targets}))

    def reload(self, targets: list[dict[str, Any]], **settings: Any) -> None:
        """Write the configuration file, send SIGHUP, and wait until it is applied."""
        applied = "datatier_config_last_reload_success_timestamp_seconds"
        before = self.value(applied)
        self.write(targets, **settings)
        os.kill(self.pid, signal.SIGHUP)
        self.wait(lambda: self.value(applied) != before, "the reload")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process while something happens that it must not see the half of."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(self.command(), cwd=self.root, stderr=log, stdout=log)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "exporter", *self._options, *arguments, "--config", str(self.config)]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, sign)
        return self._process.wait(20)

    def get(self, path: str, **headers: str) -> Answer:
        request = Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        began = time.perf_counter()
        try:
            with urlopen(request, timeout=10) as answer:
                body = answer.read()
                return Answer(answer.status, dict(answer.headers), body, time.perf_counter() - began)
        except HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read(), time.perf_counter() - began)
        except OSError:
            return Answer(0, {}, b"", time.perf_counter() - began)

    def text(self) -> str:
        answer = self.get("/metrics", **{"Accept-Encoding": "gzip"})
        assert answer.status == 200
        return gzip.decompress(answer.body).decode()

    def samples(self) -> Samples:
        """Read the page as Prometheus would; samples by name, then by sorted labels."""
        found: Samples = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                assert labels not in found.setdefault(sample.name, {}), f"{sample.name}{labels} is there twice"
                found[sample.name][labels] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float | None:
        """Return the one sample that has at least these labels, None without one."""
        series = self.samples().get(name, {})
        matching = [value for found, value in series.items() if labels.items() <= dict(found).items()]
        assert len(matching) <= 1, f"{name}: {len(matching)} samples have {labels}"
        return matching[0] if matching else None

    def health(self, path: str = "/health") -> dict[str, Any]:
        answer = self.get(path)
        assert answer.status, f"no answer to {path}"
        body = valid(json.loads(answer.body))
        assert answer.status == (503 if body["status"] == "fail" else 200)
        return body

    def state(self, target: str) -> str:
        return str(self.health()["targets"][target]["state"])

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait until a condition holds; fail with the log's end."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                why = "it ended" if ended else f"{seconds} s were not enough"
                raise AssertionError(f"in vain for {what}: {why}; the log:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def wait_up(self, *targets: str) -> None:
        for target in targets:
            self.wait(lambda target=target: self.state(target) == "ok", f"{target} to be ok", 60)  # type: ignore[misc]


def names_of(samples: Samples, target: str) -> set[str]:
    """Name the metrics of a target's store: not the core's, and not the store's own word for up."""
    return {
        name
        for name, series in samples.items()
        if not name.startswith("datatier_") and not name.endswith("_up")
        for labels in series
        if ("target", target) in labels
    }


class Patched(Exporter):
    """The exporter, after some Python code."""

    def __init__(self, targets: list[dict[str, Any]], code: str) -> None:
        super().__init__(targets)
        self._code = code

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", f"{self._code}\n{RUN}", *arguments, "--config", str(self.config)]
