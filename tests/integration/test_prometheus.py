"""A real Prometheus scrapes a real exporter on real servers."""

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from exporter.query_files import load_queries
from tests.integration.exporter_process import Exporter, Samples
from tests.servers.process import free_port
from tests.servers.session import Servers

SCRAPED = 20  # seconds, at one scrape a second
POLLED = "3s"  # so that a pass over all queries has time on a cold server, on a machine that does more


@pytest.mark.servers("postgres:18", "replica:18", "qdrant", "neo4j:2026.02", "minio:1", "minio:4")
def test_four_stores_on_one_page(servers: Servers, promtool: Path, prometheus: Path) -> None:
    """Four stores, two of them twice: all queries tell something, promtool and Prometheus have no complaint."""
    targets = [
        servers.postgres("18").target("orders", labels={"cluster": "eu-1"}),
        servers.replica("18").target("orders-replica"),
        servers.qdrant().target("search"),
        servers.neo4j("2026.02").target("graph"),
        servers.minio(1).target("objects"),
        servers.minio(4).target("archive", required=False),
    ]
    queries = [query for query in load_queries(TARGETS.values()) if not query.when.configured]
    with Exporter(targets, POLLED) as exporter, text_only(exporter.port) as text_port:
        exporter.wait_up(*(str(target["name"]) for target in targets))
        with scraping(prometheus, exporter.port, text_port) as (ask, log):
            time.sleep(SCRAPED)
            ups = ask("min_over_time(up[15s])")
            series = ask('count({job="openmetrics"}) - count({job="text"})')
            heads = ask('count by (job) ({__name__=~"pg_up|qdrant_up|neo4j_up|minio_up"} == 1)')
            complaints = [
                line for line in log.read_text().splitlines() if "level=warn" in line or "level=error" in line
            ]
        asked = {f"{query.store}/{query.name}" for query in queries}
        exporter.wait(lambda: asked <= queries_that_told(exporter.samples()), "each query to tell something")
        page = exporter.text()
        checked = subprocess.run(
            [str(promtool), "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )

    assert {entry["metric"]["job"]: entry["value"][1] for entry in ups} == {"openmetrics": "1", "text": "1"}
    assert {entry["value"][1] for entry in heads} == {"6"}
    assert [entry["value"][1] for entry in series] == ["0"]
    assert complaints == []
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


TARGETS = {"orders": "postgres", "search": "qdrant", "graph": "neo4j", "objects": "minio"}


def queries_that_told(samples: Samples) -> set[str]:
    """Name the queries that succeeded, or whose capability says why they cannot."""
    success = [dict(labels) for labels, value in samples["datatier_query_success"].items() if value == 1]
    absent = [dict(labels) for labels in samples["datatier_capability_info"] if dict(labels).get("reason")]
    return {
        f"{TARGETS[labels['target']]}/{labels.get('query', labels.get('capability'))}"
        for labels in success + absent
        if labels["target"] in TARGETS
    }


@contextmanager
def scraping(prometheus: Path, openmetrics_port: int, text_port: int) -> Iterator[tuple[Any, Path]]:
    """Run Prometheus on both pages; yield a way to ask it and its log."""
    port = free_port()
    jobs = {"openmetrics": openmetrics_port, "text": text_port}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{number}"]}]}
            for name, number in jobs.items()
        ],
    }

    def ask(query: str) -> list[dict[str, Any]]:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [str(prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=info"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            yield ask, folder / "log"
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def text_only(exporter_port: int) -> Iterator[int]:
    """Pass requests on without the Accept header: this Prometheus would always ask for OpenMetrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with urlopen(f"http://127.0.0.1:{exporter_port}{self.path}", timeout=5) as answer:
                body, kind = answer.read(), answer.headers["Content-Type"]
            assert kind.startswith("text/plain; version=0.0.4")
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="text only")
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
