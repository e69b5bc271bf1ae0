"""What servers send without measure, to all clients: bounded memory, a typed reason, no more than two polls lost.

HOSTILE=FILE meets every cell instead of the quick ones and writes down what was measured; `python -m bench hostile`
makes the table of docs/explanation/reliability.md of it.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

import pytest

from exporter.errors import Reason
from testkit.hostile import ATTACKS, Hostile
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.hostile_cells import Stage, targets, upstreams
from tests.support.scraper import scraping

QUICK = [
    ("qdrant", "gzip bomb"),
    ("qdrant", "endless"),
    ("minio", "drip"),
    ("minio", "endless"),
    ("patroni", "huge field"),
    ("postgres", "endless"),
    ("postgres", "huge field"),
    ("pgbouncer", "garbage"),
    ("neo4j", "huge field"),
]
EVERY = [(store, kind) for store, attacks in ATTACKS.items() for kind in attacks]
CELLS = EVERY if "HOSTILE" in os.environ else QUICK
MOST_MIB = 64
POLLS = 2 + 1  # the one under way when it is well again, and two


@pytest.fixture(scope="module")
def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as stack:
        pgbouncer = stack.enter_context(servers.private_pgbouncer(servers.postgres()))
        hostile = stack.enter_context(Hostile(**upstreams(servers, pgbouncer.port)))
        exporter = stack.enter_context(Exporter(targets(servers, hostile, pgbouncer.target("pgbouncer")), "1s"))
        exporter.wait(lambda: all(t["state"] != "unknown" for t in exporter.health()["targets"].values()), "all", 60)
        scraper = stack.enter_context(scraping(exporter.port, tmp_path_factory.mktemp("scraper") / "answers"))
        stage = Stage(exporter, hostile, scraper)
        yield stage
        if file := os.environ.get("HOSTILE"):
            stage.save(Path(file))
        assert exporter.stop() == 0
        log = exporter.log.read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:6000]


@pytest.mark.servers("postgres:18", "neo4j:5.26", "minio:1", "qdrant")
@pytest.mark.parametrize(("store", "kind"), CELLS)
def test_a_hostile_server_costs_nobody_else_anything(stage: Stage, store: str, kind: str) -> None:
    cell = stage.meet(store, kind)

    assert cell.reason in get_args(Reason)
    assert cell.rss_mib <= MOST_MIB
    assert cell.back_polls <= POLLS
