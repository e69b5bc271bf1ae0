"""What the runbooks tell to type works: each block is run against real servers, while all is well."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter import alert_rules
from testkit.debian import program
from testkit.postgres import Postgres
from testkit.prometheus import scraped
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.paths import ROOT
from tests.support.qdrant_admin import Admin

RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("[A-Z]*[a-z].md"))
BLOCK = re.compile(r"^```(sql|cypher|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 60


class Block(NamedTuple):
    """The commands of one fenced block of a runbook."""

    runbook: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.runbook}-{self.number}"


def blocks(language: str) -> list[Block]:
    return [
        Block(path.stem, number, text)
        for path in RUNBOOKS
        for number, (found, text) in enumerate(BLOCK.findall(path.read_text()), start=1)
        if found == language
    ]


def test_every_runbook_has_something_to_type_or_says_why_not() -> None:
    """A runbook without commands does not help at night."""
    silent = {path.stem for path in RUNBOOKS} - {
        block.runbook for language in ("sql", "cypher", "sh") for block in blocks(language)
    }

    assert silent == set()


@pytest.mark.servers("postgres:18", "replica:18")
@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_sql(servers: Servers, block: Block) -> None:
    """On the primary; what is not only the primary's on the replica, too."""
    only_primary = re.search(r"pg_current_wal_lsn", block.text)
    asked: list[Postgres] = [servers.postgres("18"), *([] if only_primary else [servers.replica("18")])]
    for server in asked:
        server.psql(block.text)


@pytest.mark.servers("neo4j:2026.02", "neo4j:5.26")
@pytest.mark.parametrize("version", ["5.26", "2026.02"])
@pytest.mark.parametrize("block", blocks("cypher"), ids=str)
def test_cypher(servers: Servers, block: Block, version: str) -> None:
    servers.neo4j(version).run(block.text)


@pytest.fixture(scope="module")
def surroundings(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give the folder and the variables of the runbooks' README: an exporter, what it watches, what watches it."""
    admin = Admin(servers.qdrant())
    admin.create("runbooks")
    targets = [
        servers.postgres("18").target("orders"),
        servers.qdrant().target("search"),
        servers.minio(1).target("objects"),
    ]
    folder = tmp_path_factory.mktemp("runbooks")
    (folder / "bin").mkdir()
    (folder / "bin" / "promtool").symlink_to(program("promtool"))
    command = folder / "bin" / "datatier-exporter"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m exporter "$@"\n')
    command.chmod(0o755)
    quiet = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    with (
        Exporter(targets) as exporter,
        servers.private_alertmanager(quiet, ROOT / "alerts" / "templates") as alertmanager,
    ):
        exporter.wait_up("orders", "search", "objects")
        loaded = {"all": alert_rules.as_rule_file(alert_rules.groups(alert_rules.names()))}
        with servers.private_prometheus(
            scraped(exporter.port), rules=loaded, alertmanager=alertmanager.port
        ) as prometheus:
            prometheus.wait_ready(lambda: bool(prometheus.ask("datatier_up")), SECONDS)
            (folder / "datatier.yaml").write_text(exporter.config.read_text())
            yield (
                folder,
                {
                    "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
                    "EXPORTER": f"http://127.0.0.1:{exporter.port}",
                    "PROMETHEUS": prometheus.url,
                    "ALERTMANAGER": alertmanager.url,
                    "QDRANT": servers.qdrant().url,
                    "MINIO": servers.minio(1).url,
                    "TARGET": "orders",
                    "COLLECTION": "runbooks",
                },
            )
    admin.drop("runbooks")


@pytest.mark.servers("postgres:18", "qdrant", "minio:1")
@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_sh(surroundings: tuple[Path, dict[str, str]], block: Block) -> None:
    """Every command ends well, and each request over HTTP names a page that exists."""
    folder, variables = surroundings
    done = subprocess.run(
        ["sh", "-eu", "-c", block.text], cwd=folder, env=os.environ | variables, check=False, capture_output=True,
        text=True, timeout=SECONDS,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"Not Found|page not found|no such target|no target is", done.stdout)
