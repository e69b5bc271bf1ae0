"""Many targets: a real Prometheus finds them at /sd, scrapes each at /probe, and shares them out as our shards do."""

import json
from contextlib import ExitStack
from typing import Any

import pytest

from testkit.process import free_port
from testkit.prometheus import Job, Prometheus, discovered
from testkit.session import Servers
from tests.support.exporter_process import Exporter

NAMES = [f"db-{number}" for number in range(40)]
SECONDS = 5  # what Prometheus scrapes by where a target does not say otherwise


def values(prometheus: Prometheus, query: str) -> dict[str, float]:
    """Return a query's values by the label target."""
    return {entry["metric"]["target"]: float(entry["value"][1]) for entry in prometheus.ask(query)}


def ups(prometheus: Prometheus) -> dict[str, float]:
    return values(prometheus, "up{job='datatier'}")


@pytest.mark.servers("postgres:18", "qdrant", "minio:1")
def test_every_target_is_scraped_by_itself(servers: Servers) -> None:
    """Each is up, with its own labels and no second copy of them, at its own interval; a reload brings and takes."""
    first = [
        servers.postgres("18").target("orders", labels={"cluster": "eu-1"}),
        servers.qdrant().target("search", interval="2s"),
    ]
    second = [first[0], servers.minio(1).target("objects")]
    with (
        Exporter(first) as exporter,
        servers.private_prometheus(discovered(exporter.port), seconds=SECONDS) as prometheus,
    ):
        exporter.wait(lambda: ups(prometheus) == {"orders": 1, "search": 1, "exporter": 1}, "all to be scraped", 60)
        exporter.wait(lambda: values(prometheus, "datatier_up") == {"orders": 1, "search": 1}, "both to be polled", 60)
        targets = {entry["labels"]["target"]: entry for entry in prometheus.get("targets")["activeTargets"]}
        labels = {name for entry in prometheus.get("series?match[]={job='datatier'}") for name in entry}
        of_cluster = values(prometheus, "datatier_up{cluster='eu-1'}")
        exporter.reload(second)
        exporter.wait(lambda: ups(prometheus) == {"orders": 1, "objects": 1, "exporter": 1}, "the reload's targets", 60)
        complaints = prometheus.complaints()

    intervals = {name: entry["scrapeInterval"] for name, entry in targets.items()}
    assert intervals == {"orders": "1s", "search": "2s", "exporter": "5s"}
    assert {entry["labels"]["store"] for entry in targets.values()} == {"postgres", "qdrant", "exporter"}
    assert not {name for name in labels if name.startswith("exported_")}
    assert of_cluster == {"orders": 1}
    assert complaints == []


def test_shards_are_those_of_hashmod(servers: Servers) -> None:
    """Three Prometheus jobs that keep one share of the names each keep what three exporters watch."""
    port = free_port()
    described = [{"name": name, "store": "postgres", "url": f"postgresql://m@127.0.0.1:{port}/x"} for name in NAMES]
    with (
        Exporter(described) as exporter,
        servers.private_prometheus(*(share(exporter, n) for n in range(3)), seconds=SECONDS) as prometheus,
    ):
        exporter.wait(lambda: len(shared(prometheus)) == len(NAMES), "all targets", 60)
        kept = shared(prometheus)

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


def shared(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [entry for entry in prometheus.get("targets")["activeTargets"] if entry["labels"]["target"] != "exporter"]


def share(exporter: Exporter, index: int) -> Job:
    hashed = {"source_labels": ["__param_target"], "modulus": 3, "target_label": "__tmp_hash", "action": "hashmod"}
    kept = {"source_labels": ["__tmp_hash"], "regex": str(index), "action": "keep"}
    return discovered(exporter.port, f"share-{index}", relabel_configs=[hashed, kept])


def names(exporter: Exporter) -> set[str]:
    return {entry["labels"]["target"] for entry in json.loads(exporter.get("/sd").body)} - {"exporter"}
