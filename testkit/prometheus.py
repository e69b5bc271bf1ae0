"""Prometheus from its Debian package, and Alertmanager, built: what stands behind the exporter.

Debian's Alertmanager reads templates at a fixed place of the machine, where nothing is unless it is installed.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import yaml

from testkit.debian import program
from testkit.go import built
from testkit.process import Process, free_port

ALERTMANAGER = "github.com/prometheus/alertmanager"
ALERTMANAGER_VERSION = "v0.27.0"
Job = Mapping[str, Any]


def alertmanager_programs() -> Path:
    """Return the folder of alertmanager and amtool."""
    return built(
        "alertmanager", ALERTMANAGER_VERSION, [f"{ALERTMANAGER}/cmd/{name}" for name in ("alertmanager", "amtool")]
    )


def scraped(*ports: int, name: str = "datatier", **settings: Any) -> Job:
    """Return a job that scrapes exporters at /metrics."""
    places = [f"127.0.0.1:{port}" for port in ports]
    return {"job_name": name, "static_configs": [{"targets": places}], **settings}


def discovered(port: int, name: str = "datatier", **settings: Any) -> Job:
    """Return the job of how-to/many-targets.md: an exporter's targets are found at /sd, each is scraped by itself."""
    http = {"url": f"http://127.0.0.1:{port}/sd", "refresh_interval": "1s"}
    return {"job_name": name, "honor_labels": True, "http_sd_configs": [http], **settings}


class Prometheus(Process):
    """One Prometheus with some jobs; it scrapes every so many seconds and evaluates rules as often."""

    as_ourselves = True  # it reads the certificates of a test

    def __init__(
        self,
        jobs: Sequence[Job],
        rules: Mapping[str, str] | None = None,
        alertmanager: int | None = None,
        *,
        seconds: int = 1,
    ) -> None:
        super().__init__("prometheus")
        self._every = f"{seconds}s"
        self.port = free_port()
        self._jobs = jobs
        self._rules = rules or {}
        self._alertmanager = alertmanager

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        found: list[dict[str, Any]] = self.get(f"query?query={quote(expr)}")["result"]
        return found

    def get(self, path: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def complaints(self) -> list[str]:
        """Return the warnings and errors of its log."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if "level=warn" in line or "level=error" in line]

    def _prepare(self) -> None:
        for name, text in self._rules.items():
            (self.folder / f"{name}.rules.yaml").write_text(text)
        config: dict[str, Any] = {
            "global": {
                "scrape_interval": self._every,
                "scrape_timeout": self._every,
                "evaluation_interval": self._every,
            },
            "rule_files": ["*.rules.yaml"],
            "scrape_configs": [dict(job) for job in self._jobs],
        }
        if self._alertmanager is not None:
            targets = [{"targets": [f"127.0.0.1:{self._alertmanager}"]}]
            config["alerting"] = {"alertmanagers": [{"static_configs": targets}]}
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def _command(self) -> list[str]:
        place = [f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data"]
        return [str(program("prometheus")), *place, f"--web.listen-address=127.0.0.1:{self.port}"]

    def _ready(self) -> bool:
        with urlopen(f"{self.url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)


class Alertmanager(Process):
    """One Alertmanager with a configuration and the folder of its templates; it gossips with no other."""

    as_ourselves = True  # it reads the secrets' files of a test

    def __init__(self, config: Mapping[str, Any], templates: Path) -> None:
        super().__init__("alertmanager")
        self.port = free_port()
        self._config = config
        self._templates = templates

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, alerts: list[dict[str, Any]]) -> None:
        """Send alerts as Prometheus does."""
        body = json.dumps(alerts).encode()
        request = Request(f"{self.url}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"})
        with urlopen(request, timeout=10):
            pass

    def alerts(self) -> list[dict[str, Any]]:
        """Return what it knows, with receivers and what inhibits each."""
        with urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def metrics(self) -> str:
        with urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def _prepare(self) -> None:
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(self._config)))
        shutil.copytree(self._templates, self.folder / "templates")

    def _command(self) -> list[str]:
        place = [f"--config.file={self.folder}/alertmanager.yml", f"--storage.path={self.folder}/data"]
        addresses = [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        return [str(alertmanager_programs() / "alertmanager"), *place, *addresses]

    def _ready(self) -> bool:
        with urlopen(f"{self.url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
