"""Run the Qdrant double (see `qdrant_double`) as a server of its own."""

import importlib.util
import json
import sys
import urllib.request
from pathlib import Path

from testkit import Unavailable
from testkit.process import Process, free_port

REPOSITORY = Path(__file__).resolve().parents[1]


class Qdrant(Process):
    """A Qdrant that looks like `version` from outside. Collections survive `restart`; the scene does not."""

    start_seconds = 30.0
    as_ourselves = True

    def __init__(self, api_key: str | None = None, read_only_key: str | None = None, version: str = "1.18.3") -> None:
        super().__init__("qdrant")
        self.api_key = api_key
        self.read_only_key = read_only_key
        self.version = version
        self._port: int | None = None

    @property
    def port(self) -> int:
        if self._port is None:
            self._port = free_port()
        return self._port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def target(self, name: str, **extra: object) -> dict[str, object]:
        """Return the server's entry for `targets:` of the exporter's configuration."""
        key = {"api_key": self.api_key} if self.api_key else {}
        return {"name": name, "store": "qdrant", "url": self.url} | key | extra

    def scene(self, **changes: object) -> None:
        """Play a scene (`qdrant_double.scene.Scene`) instead of the one before; nothing named is back to normal."""
        body = json.dumps(changes).encode()
        request = urllib.request.Request(f"{self.url}/_double/scene", data=body, method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def _prepare(self) -> None:
        if importlib.util.find_spec("qdrant_edge") is None:
            raise Unavailable("qdrant-edge-py is not installed: it has no build for this platform")

    def _command(self) -> list[str]:
        options = ["--folder", str(self.folder), "--port", str(self.port), "--version", self.version]
        return [sys.executable, "-m", "testkit.qdrant_double", *options]

    def _environment(self) -> dict[str, str]:
        keys = {"DOUBLE_API_KEY": self.api_key, "DOUBLE_READ_ONLY_KEY": self.read_only_key}
        given = {name: value for name, value in keys.items() if value}
        return {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"} | given

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
