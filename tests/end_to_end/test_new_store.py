"""A new store is one package and one line: a copy of the exporter that gets both shows the store in every view."""

import json
import os
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.exporter_process import Exporter
from tests.support.paths import ROOT

PACKAGE = ROOT / "tests/support/toy_store"
LINE = '    "toy_store.store",\n'
PAGES = {"version": "3.1", "shelves": {"top": {"toys": 9, "places": 10}, "low": {"toys": 0, "places": 20}}}


class Handler(socketserver.StreamRequestHandler):
    """Answer a line with the page of that name."""

    def handle(self) -> None:
        page = PAGES[self.rfile.readline().decode().strip()]
        self.wfile.write(json.dumps(page).encode() + b"\n")


@contextmanager
def toy_server() -> Iterator[str]:
    """Run the store's server and return its URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"toy://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what makes up the exporter; add the store's package, and its line to the registry."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("exporter", "queries", "alerts"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE, root / PACKAGE.name)
    registry = root / "exporter/config/stores/__init__.py"
    before, start, after = registry.read_text().partition("STORE_MODULES = [\n")
    registry.write_text(before + start + LINE + after)
    return root


def configured(checkout: Path, url: str) -> Exporter:
    """Return an exporter of the copy, with one target that has a limit of its own."""
    limits = {"response_seconds": {"warn": 0.75, "fail": 3}}
    target: dict[str, Any] = {"name": "playroom", "store": "toy", "url": url, "thresholds": limits}
    exporter = Exporter([target], queries=[str(checkout / PACKAGE.name / "queries")])
    exporter.root = checkout
    return exporter


def printed(exporter: Exporter, command: str) -> str:
    """Run a command of the copy and return what it prints."""
    return subprocess.check_output(exporter.command(command), cwd=exporter.root, text=True)


def playroom(exporter: Exporter) -> Any:
    """Return the target as /health shows it; the published schema lists the stores of a release alone."""
    return json.loads(exporter.get("/health").body)["targets"]["playroom"]


def test_a_new_store_is_in_every_view(checkout: Path) -> None:
    """Its metrics, its state and checks, its page, and what the command line prints of it."""
    with toy_server() as url, configured(checkout, url) as exporter:
        exporter.wait(lambda: exporter.value("toy_shelf_toys", shelf="top") == 9, "the toys")
        values = {
            (name, *(value for _, value in labels)): value
            for name, series in exporter.samples().items()
            for labels, value in series.items()
            if name in ("datatier_up", "datatier_target_info") or name.startswith("toy_")
        }
        target = playroom(exporter)
        overview, page = exporter.get("/"), exporter.get("/targets/playroom")
        checked = printed(exporter, "check")
        rules = yaml.safe_load(printed(exporter, "rules"))

    assert values == {
        ("datatier_up", "toy", "playroom"): 1,
        ("datatier_target_info", "toy", "playroom", "3.1"): 1,
        ("toy_up", "playroom"): 1,
        ("toy_shelf_toys", "low", "playroom"): 0,
        ("toy_shelf_toys", "top", "playroom"): 9,
        ("toy_shelf_used_ratio", "low", "playroom"): 0,
        ("toy_shelf_used_ratio", "top", "playroom"): 0.9,
    }
    assert (target["store"], target["version"], target["state"]) == ("toy", "3.1", "degraded")
    assert target["reasons"] == [{"code": "limit", "check": "shelves", "value": 0.9, "limit": 0.8, "unit": "ratio"}]
    assert overview.status == page.status == 200
    assert "playroom is degraded" in overview.body.decode()
    assert all(word in page.body.decode() for word in ("playroom is degraded", "toy", "3.1", "shelves"))
    assert checked.startswith("playroom: toy 3.1, ping ")
    assert [line.split()[:3] for line in checked.splitlines() if "shelves" in line] == [["shelves", "2", "4"]]
    assert {group["name"] for group in rules["groups"]} == {
        "datatier-backups", "datatier-core", "datatier-exporter", "datatier-slo",
    }  # fmt: skip
    own = [rule for group in rules["groups"] for rule in group["rules"] if "playroom" in rule["expr"]]
    assert [(rule["alert"], rule["labels"]["severity"]) for rule in own] == [
        ("DataTierProbeSlow", "warning"),
        ("DataTierProbeSlow", "critical"),
    ]
    assert all(f"> {limit}\n" in rule["expr"] for rule, limit in zip(own, ("0.75", "3"), strict=True))


def test_a_new_store_whose_server_is_gone_is_down(checkout: Path) -> None:
    with ExitStack() as server, configured(checkout, server.enter_context(toy_server())) as exporter:
        exporter.wait(lambda: exporter.value("toy_up") == 1, "the server")
        server.close()
        exporter.wait(lambda: playroom(exporter)["state"] == "down", "the state")
        reasons = playroom(exporter)["reasons"]

    assert reasons == [{"code": "connect"}]


def test_a_new_store_is_configured_by_its_variable(checkout: Path) -> None:
    with toy_server() as url:
        command = [sys.executable, "-m", "exporter", "check"]
        checked = subprocess.check_output(command, cwd=checkout, env={**os.environ, "TOY_URL": url}, text=True)

    assert checked.startswith("toy: toy 3.1, ping ")
