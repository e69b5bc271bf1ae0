"""Backups of all four stores, as docs/how-to/backups.md configures them, made by the programs that make real ones."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import yaml

from testkit.session import Servers
from tests.support.backup_stage import KMS, STEPS, Stage, Target, documented, dump, piped
from tests.support.exporter_process import Exporter
from tests.support.paths import ROOT

LOOK = 150.0  # seconds in which each set is looked at again, also when a pass has just begun
DATA = {"orders", "graph", "search", "objects"}

pytestmark = pytest.mark.servers("qdrant")


@pytest.fixture(scope="module")
def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as open_servers:
        archive = open_servers.enter_context(closing(servers.private_pgbackrest()))
        graph = open_servers.enter_context(servers.private_neo4j())
        objects = open_servers.enter_context(servers.private_minio())
        elsewhere = open_servers.enter_context(servers.private_minio(environment=KMS))
        search = open_servers.enter_context(servers.private_qdrant())
        yield Stage(tmp_path_factory.mktemp("stage"), archive, graph, objects, elsewhere, search).build()


@pytest.fixture(scope="module")
def exporter(stage: Stage) -> Iterator[Exporter]:
    with Exporter(stage.targets()) as exporter:
        stage.archive_all()
        exporter.wait(lambda: not unlooked(exporter, stage), "a look at each set", LOOK)
        yield exporter


def checks(exporter: Exporter, target: str) -> dict[str, dict[str, object]]:
    """Return the checks of a target's sets, by set."""
    found = {key.partition(":")[::2]: check for key, [check] in exporter.health()["checks"].items()}
    return {check: dict(body) for (name, check), body in found.items() if name == target}


def unlooked(exporter: Exporter, stage: Stage) -> set[str]:
    """Name the sets whose check is not there yet, or unknown."""
    wanted = {(target["name"], one["name"]) for target in stage.places() for one in target["sets"]}
    return {f"{t}:{s}" for t, s in wanted if checks(exporter, t).get(s, {}).get("status", "unknown") == "unknown"}


def test_all_sets_of_the_page_are_good(stage: Stage, exporter: Exporter) -> None:
    found = {place["name"]: checks(exporter, place["name"]) for place in stage.places()}
    wrong = {
        f"{place['name']}:{one['name']}": found[place["name"]].get(one["name"])
        for place in stage.places()
        for one in place["sets"]
        if found[place["name"]].get(one["name"], {}).get("status") != "pass"
    }
    snapshot = checks(exporter, "search").get("snapshot:docs", {})

    assert wrong == {}
    assert snapshot.get("status") == "pass", snapshot
    exporter.wait(lambda: checks(exporter, "orders")["archiver"]["status"] == "pass", "what is archived", LOOK)


def test_what_is_told_of_the_sets_of_the_page(exporter: Exporter) -> None:
    def value(name: str, check: str, **labels: str) -> float | None:
        return exporter.value(f"datatier_backup{name}", check=check, **labels)

    assert value("_retained", "apex-daily", tier="daily") == 30
    assert value("_retained", "apex-weekly", tier="weekly") == 12
    assert (value("_retained", "apex-monthly", tier="monthly"), value("_retained", "apex-monthly", tier="yearly")) == (
        12,
        7,
    )
    assert value("_wal_gaps", "apex-wal") == 0
    assert (value("_wal_segments", "apex-wal") or 0) >= 3
    assert value("_recoverable_from_timestamp_seconds", "apex-wal") is not None
    assert value("_copy_missing", "apex-copy") == 0
    assert value("_copy_missing", "documents-mirror") == 0
    assert value("_last_duration_seconds", "restore-test") == 512
    assert value("_duration_limit_seconds", "restore-test") == 900
    covered = exporter.samples()["datatier_backup_covered"]
    assert {dict(labels)["target"]: number for labels, number in covered.items()} == dict.fromkeys(DATA, 1)


@pytest.mark.parametrize("steps", range(1, STEPS + 1))
def test_each_step_of_the_page_can_be_checked(stage: Stage, steps: int, tmp_path: Path) -> None:
    """`check` looks at all that a step configures, and finds nothing wrong."""
    config = tmp_path / "datatier.yaml"
    config.write_text(yaml.safe_dump({"targets": stage.targets(documented(steps))}))
    command = [sys.executable, "-m", "exporter", "check", "--format", "json", "--config", str(config)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stdout + found.stderr
    body = json.loads(found.stdout)
    assert {target["target"] for target in body["targets"]} >= {"orders", "nas"}


@pytest.mark.parametrize("version", ["14", "15", "16", "17", "18"])
def test_backups_of_each_version_are_good(servers: Servers, version: str, tmp_path: Path) -> None:
    """Dumps of each kind, and base backups, of each PostgreSQL: all good at the first look."""
    server = servers.postgres(version)
    dump(server, tmp_path / "custom_1.dump", "-Fc")
    piped(server, tmp_path / "piped_1.dump")
    dump(server, tmp_path / "plain_1.sql")
    dump(server, tmp_path / "all_1.sql", program="pg_dumpall")
    dump(server, tmp_path / "directory_1", "-Fd")
    dump(server, tmp_path / "tar_1.tar", "-Ft")
    kinds: dict[str, Target] = {
        "custom": {"files": "custom_*.dump", "format": "pg_dump"},
        "piped": {"files": "piped_*.dump", "format": "pg_dump"},
        "plain": {"files": "plain_*.sql", "format": "sql"},
        "all": {"files": "all_*.sql", "format": "sql"},
        "directory": {"files": "directory_*/", "format": "pg_dump"},
        "tar": {"files": "tar_*.tar", "format": "pg_dump"},
    }
    sets = [{"name": name, "of": "orders", "every": "1d", **keys} for name, keys in kinds.items()]
    place = {"name": "nas", "store": "backups", "url": tmp_path.as_uri(), "sets": sets}
    with Exporter([server.target("orders"), place]) as exporter:
        exporter.wait(lambda: len(checks(exporter, "nas").keys() & kinds.keys()) == len(kinds), "all checks", LOOK)
        exporter.wait(
            lambda: all(
                check["status"] != "unknown" for name, check in checks(exporter, "nas").items() if name in kinds
            ),
            "a look at each",
            LOOK,
        )
        found = {name: (check["status"], check.get("output")) for name, check in checks(exporter, "nas").items()}
        good = {name: exporter.value("datatier_backups", check=name) for name in kinds}

    assert {name: found[name] for name in kinds} == dict.fromkeys(kinds, ("pass", None))
    assert good == dict.fromkeys(kinds, 1)


def test_faults_are_named_at_the_first_look(stage: Stage) -> None:
    """A cut dump, a lost segment, a copy that is gone, a failed restore: each set names the file and the fault."""
    newest, segment, copy = stage.cut_newest_dump(), stage.lose_segment(), stage.lose_copy()
    stage.fail_restore("the index could not be built")
    faults = {
        ("nas", "apex-daily"): f"{newest}: truncated",
        ("vault", "apex-wal"): segment,
        ("offsite", "apex-copy"): copy,
        ("vault", "restore-test"): "the index could not be built",
    }

    def said(exporter: Exporter) -> dict[tuple[str, str], str]:
        return {(place, one): str(checks(exporter, place).get(one, {}).get("output")) for place, one in faults}

    with Exporter(stage.targets()) as exporter:
        exporter.wait(lambda: all(fault in said(exporter)[at] for at, fault in faults.items()), "four faults", LOOK)
        page = exporter.text()

    assert newest not in page
    assert segment not in page
