"""Many targets: a real Prometheus finds them at /sd, scrapes each at /probe, and shares them out as our shards do."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from tests.integration.exporter_process import Exporter
from tests.servers.process import free_port
from tests.servers.session import Servers

NAMES = [f"db-{number}" for number in range(40)]
Ask = Callable[[str], Any]


@contextmanager
def prometheus_of(program: Path, jobs: list[dict[str, Any]]) -> Iterator[tuple[Ask, Path]]:
    """Run Prometheus with these jobs; yield a way to ask its API, and its log."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"global": {"scrape_interval": "5s", "scrape_timeout": "5s"}, "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        command = [str(program), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

        def ask(path: str) -> Any:
            with urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]

        try:
            yield ask, folder / "log"
        finally:
            process.terminate()
            process.wait(20)


def discovered(exporter: Exporter, **settings: Any) -> dict[str, Any]:
    """Return the job of docs/configuration.md."""
    http = {"url": f"http://127.0.0.1:{exporter.port}/sd", "refresh_interval": "1s"}
    return {"job_name": "datatier", "honor_labels": True, "http_sd_configs": [http], **settings}


def values(ask: Ask, query: str) -> dict[str, float]:
    """Return a query's values by the label target."""
    found = ask(f"query?query={quote(query)}")["result"]
    return {entry["metric"]["target"]: float(entry["value"][1]) for entry in found}


def ups(ask: Ask) -> dict[str, float]:
    return values(ask, "up{job='datatier'}")


def quietly(action: Callable[[], bool]) -> Callable[[], bool]:
    """Take a Prometheus that does not answer yet for a no."""

    def attempt() -> bool:
        try:
            return action()
        except OSError:
            return False

    return attempt


@pytest.mark.servers("postgres:18", "qdrant", "minio:1")
def test_every_target_is_scraped_by_itself(servers: Servers, prometheus: Path) -> None:
    """Each is up, with its own labels and no second copy of them, at its own interval; a reload brings and takes."""
    first = [
        servers.postgres("18").target("orders", labels={"cluster": "eu-1"}),
        servers.qdrant().target("search", interval="2s"),
    ]
    second = [first[0], servers.minio(1).target("objects")]
    with Exporter(first) as exporter, prometheus_of(prometheus, [discovered(exporter)]) as (ask, log):
        exporter.wait(quietly(lambda: ups(ask) == {"orders": 1, "search": 1, "exporter": 1}), "all to be scraped", 60)
        exporter.wait(lambda: values(ask, "datatier_up") == {"orders": 1, "search": 1}, "both to be polled", 60)
        targets = {entry["labels"]["target"]: entry for entry in ask("targets")["activeTargets"]}
        labels = {name for entry in ask("series?match[]={job='datatier'}") for name in entry}
        of_cluster = values(ask, "datatier_up{cluster='eu-1'}")
        exporter.reload(second)
        exporter.wait(
            lambda: ups(ask) == {"orders": 1, "objects": 1, "exporter": 1}, "the reload to reach Prometheus", 60
        )
        complaints = [line for line in log.read_text().splitlines() if "level=warn" in line or "level=error" in line]

    intervals = {name: entry["scrapeInterval"] for name, entry in targets.items()}
    assert intervals == {"orders": "1s", "search": "2s", "exporter": "5s"}
    assert {entry["labels"]["store"] for entry in targets.values()} == {"postgres", "qdrant", "exporter"}
    assert not {name for name in labels if name.startswith("exported_")}
    assert of_cluster == {"orders": 1}
    assert complaints == []


def test_shards_are_those_of_hashmod(prometheus: Path) -> None:
    """Three Prometheus jobs that keep one share of the names each keep what three exporters watch."""
    port = free_port()
    described = [{"name": name, "store": "postgres", "url": f"postgresql://m@127.0.0.1:{port}/x"} for name in NAMES]
    with Exporter(described) as exporter, prometheus_of(prometheus, [share(exporter, n) for n in range(3)]) as (ask, _):
        exporter.wait(quietly(lambda: len(shared(ask)) == len(NAMES)), "all targets", 60)
        kept = shared(ask)

    with ExitStack() as stack:
        shards = [stack.enter_context(Exporter(described, "1s", "--shard", f"{index}/3")) for index in range(3)]
        watched = [names(shard) for shard in shards]
        for shard in shards:
            shard.reload(described[:20])
        after = [names(shard) for shard in shards]

    for index in range(3):
        theirs = {entry["labels"]["target"] for entry in kept if entry["labels"]["job"] == f"share-{index}"}
        assert watched[index] == theirs
        assert after[index] == theirs & set(NAMES[:20])
    assert all(watched)


def shared(ask: Ask) -> list[dict[str, Any]]:
    return [entry for entry in ask("targets")["activeTargets"] if entry["labels"]["target"] != "exporter"]


def share(exporter: Exporter, index: int) -> dict[str, Any]:
    hashed = {"source_labels": ["__param_target"], "modulus": 3, "target_label": "__tmp_hash", "action": "hashmod"}
    kept = {"source_labels": ["__tmp_hash"], "regex": str(index), "action": "keep"}
    return discovered(exporter, job_name=f"share-{index}", relabel_configs=[hashed, kept])


def names(exporter: Exporter) -> set[str]:
    return {entry["labels"]["target"] for entry in json.loads(exporter.get("/sd").body)} - {"exporter"}
