"""The command line as tests run it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from testkit.process import free_port
from tests.support.factories import write
from tests.support.paths import ROOT


def closed(*stores: str) -> list[dict[str, Any]]:
    """Return targets at ports where no server listens."""
    urls = {"postgres": "postgresql://u:hunter22@", "qdrant": "http://", "neo4j": "bolt://", "minio": "http://"}
    return [{"name": store, "store": store, "url": f"{urls[store]}127.0.0.1:{free_port()}"} for store in stores]


def ended(tmp_path: Path, code: str, port: int) -> subprocess.CompletedProcess[str]:
    """Run Python code with a configuration on its command line until it ends by itself."""
    settings = {"listen": f"127.0.0.1:{port}", "poll": {"interval": "1s"}, "targets": closed("postgres")}
    config = write(tmp_path / "datatier.yaml", str(settings))
    return subprocess.run(
        [sys.executable, "-c", code, "--config", str(config)],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
