"""MinIO: upstream's last commit, built by the machine's Go or by the one on the Python package index."""

import urllib.request
from pathlib import Path
from typing import Self

from testkit.go import built
from testkit.process import Process, free_port

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"


class Minio(Process):
    """One MinIO node with one drive, or with several that form an erasure set."""

    def __init__(self, drives: int = 1, environment: dict[str, str] | None = None) -> None:
        super().__init__("minio")
        self.drives = drives
        self.port = free_port()
        self.console_port = free_port()
        self.access_key = "datatier-root"
        self.secret_key = "datatier-secret"
        self._settings = environment or {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def target(self, name: str, **extra: object) -> dict[str, object]:
        keys = {"access_key": self.access_key, "secret_key": self.secret_key}
        return {"name": name, "store": "minio", "url": self.url, **keys, **extra}

    def start(self) -> Self:
        fetch()
        return super().start()

    def _command(self) -> list[str]:
        folders = [str(self.folder / f"drive{number}") for number in range(1, self.drives + 1)]
        console = ["--console-address", f"127.0.0.1:{self.console_port}"]
        return [str(fetch()), "server", "--quiet", "--address", f"127.0.0.1:{self.port}", *console, *folders]

    def _environment(self) -> dict[str, str]:
        """Return settings that allow several drives on one disk and count usage every second."""
        settings = {"MINIO_CI_CD": "1", "MINIO_SCANNER_SPEED": "fastest", "MINIO_BROWSER": "off"}
        root = {"MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key}
        return settings | root | self._settings

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/minio/health/cluster", timeout=2) as answer:
            return bool(answer.status == 200)


def fetch() -> Path:
    """Return the server's program, built once."""
    return built("minio", VERSION, [MODULE]) / "minio"
