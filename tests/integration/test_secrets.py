"""No secret is in any log, page or message, whatever goes wrong."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.exporter_process import ROOT, Exporter
from tests.servers.session import Servers

CANARY = "canary-7f3a9c51"
PAGES = (
    "/",
    "/targets/pg",
    "/metrics",
    "/health",
    "/health/targets/pg",
    "/livez",
    "/startupz",
    "/readyz",
    "/probe?target=pg",
    "/no",
)


@pytest.mark.servers("postgres:18", "qdrant", "neo4j:5.26", "minio:1")
def test_planted_secrets_are_nowhere(servers: Servers, tmp_path: Path) -> None:
    """Wrong passwords and keys, in the URL, in a file and in the configuration, on live and dead servers."""
    in_a_file = tmp_path / "secret"
    in_a_file.write_text(f"{CANARY}-file\n")
    port = servers.postgres("18").port
    targets: list[dict[str, Any]] = [
        servers.postgres("18").target("pg", password=f"{CANARY}-value"),
        {"name": "in-url", "store": "postgres", "url": f"postgresql://monitor:{CANARY}-url@127.0.0.1:{port}/postgres"},
        {"name": "dead", "store": "postgres", "url": f"postgresql://monitor:{CANARY}-dead@127.0.0.1:1/postgres"},
        servers.qdrant().target("qd", api_key=f"{CANARY}-key"),
        servers.minio(1).target("s3", secret_key=f"{CANARY}-secret"),
        servers.minio(1).target("s3-stranger", access_key=f"{CANARY}-access"),
        servers.neo4j("5.26").target("neo", user="nobody-there", password=f"{CANARY}-neo"),
    ]
    from_file = servers.postgres("18").target("file", password_file=str(in_a_file))
    del from_file["password"]
    with Exporter([*targets, from_file]) as exporter:
        exporter.wait(lambda: exporter.get("/startupz").status == 200, "the first attempts")
        time.sleep(2)
        pages = [exporter.get(path).body.decode() for path in PAGES]
        checked = subprocess.run(exporter.command("check"), cwd=ROOT, capture_output=True, text=True, check=False)
        as_json = subprocess.run(
            exporter.command("check", "--format", "json"), cwd=ROOT, capture_output=True, text=True, check=False
        )
        title = Path(f"/proc/{exporter.pid}/cmdline").read_bytes().decode()
        exporter.stop()
        log = exporter.log.read_text()

    assert checked.returncode == 1
    assert "target down" in log
    for text in (*pages, checked.stdout, checked.stderr, as_json.stdout, as_json.stderr, title, log):
        assert CANARY not in text
