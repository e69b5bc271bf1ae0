"""A real Prometheus scrapes a real exporter on real servers."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from exporter.settings import read_queries
from testkit.prometheus import scraped
from testkit.session import Servers
from tests.support.exporter_process import Exporter, Samples

SCRAPED = 20  # seconds, at one scrape a second
POLLED = "3s"  # so that a pass over all queries has time on a cold server, on a machine that does more


@pytest.mark.servers("postgres:18", "replica:18", "qdrant", "neo4j:2026.02", "minio:1", "minio:4")
def test_four_stores_on_one_page(servers: Servers, promtool: Path) -> None:
    """Four stores, two of them twice: all queries tell something, promtool and Prometheus have no complaint."""
    targets = [
        servers.postgres("18").target("orders", labels={"cluster": "eu-1"}),
        servers.replica("18").target("orders-replica"),
        servers.qdrant().target("search"),
        servers.neo4j("2026.02").target("graph"),
        servers.minio(1).target("objects"),
        servers.minio(4).target("archive", required=False),
    ]
    queries = [query for query in read_queries(TARGETS.values()) if not query.when.configured]
    with Exporter(targets, POLLED) as exporter, text_only(exporter.port) as text_port:
        exporter.wait_up(*(str(target["name"]) for target in targets))
        jobs = scraped(exporter.port, name="openmetrics"), scraped(text_port, name="text")
        with servers.private_prometheus(*jobs) as prometheus:
            time.sleep(SCRAPED)
            ups = prometheus.ask("min_over_time(up[15s])")
            series = prometheus.ask('count({job="openmetrics"}) - count({job="text"})')
            heads = prometheus.ask('count by (job) ({__name__=~"pg_up|qdrant_up|neo4j_up|minio_up"} == 1)')
            complaints = prometheus.complaints()
        silent = {f"{query.store}/{query.name}" for query in queries}

        def all_told() -> bool:
            silent.difference_update(queries_that_told(exporter.samples()))
            return not silent

        exporter.wait(all_told, "each query to tell something", 120)
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
