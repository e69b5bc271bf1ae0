"""Dashboards and alerts on a whole data tier at work: every panel shows data, every alert raised is meant, and ends."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from dashboards.pages import EMPTY_WHEN_WELL
from testkit.prometheus import Prometheus, scraped
from testkit.session import Servers
from tests.support.live_environment import Stage, staged
from tests.support.live_faults import AFTERWARDS, RAISED, caused
from tests.support.panels import Asked, asked, pages
from tests.support.paths import ROOT

RULES = ROOT / "alerts" / "rules"
PATIENCE = 300.0
ONE = {
    "overview": "shop-1",
    "postgres": "shop-1",
    "qdrant": "search",
    "neo4j": "graph",
    "minio": "objects",
    "backups": "nas",
    "exporter": "shop-1",
}


@pytest.fixture(scope="module")
def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(servers, tmp_path_factory.mktemp("live")) as stage:
        yield stage


@pytest.fixture(scope="module")
def watching(servers: Servers, stage: Stage) -> Iterator[Prometheus]:
    """Run a Prometheus with our rules, the same expressions, but without their patience."""
    rules = {path.stem: yaml.safe_dump(hasty(path)) for path in RULES.glob("*.yaml")}
    with servers.private_prometheus(scraped(stage.exporter.port), rules=rules, seconds=5) as watching:
        yield watching


def hasty(path: Path) -> Any:
    """Return a file's rules with `for` shortened and without `keep_firing_for`."""
    content = yaml.safe_load(path.read_text())
    for group in content["groups"]:
        for rule in group["rules"]:
            rule.pop("keep_firing_for", None)
            if "for" in rule:
                rule["for"] = "1s"
    return content


def empty(watching: Prometheus, **values: str) -> set[tuple[str, str]]:
    """Name the panels, by page and title, that have a query without any number."""
    found = set()
    for stem, page in pages().items():
        chosen = {"target": ONE[stem]} if values.get("target") == "one" else {}
        for query in asked(stem, page, **chosen):
            if not answered(watching, query):
                found.add((stem, query.panel))
    return found


def answered(watching: Prometheus, query: Asked) -> bool:
    now = time.time()
    span = {"time": now} if query.instant else {"start": now - 60, "end": now, "step": 5}
    path = "query" if query.instant else "query_range"
    series = watching.get(f"{path}?{urlencode({'query': query.expr, **span})}")["result"]
    values = [value for one in series for _, value in (one.get("values") or [one["value"]])]
    return any(not math.isnan(float(value)) for value in values)


def firing(watching: Prometheus) -> set[tuple[str, str]]:
    """Return each firing alert's name and target, the exporter's own with none."""
    return {
        (alert["labels"]["alertname"], alert["labels"].get("target", ""))
        for alert in watching.get("alerts")["alerts"]
        if alert["state"] == "firing"
    }


def wait(condition: Any, what: str) -> None:
    """Wait until nothing is left of what a condition returns; fail with what is."""
    deadline = time.monotonic() + PATIENCE
    while left := condition():
        assert time.monotonic() < deadline, f"{what}: {sorted(left)}"
        time.sleep(2)


@pytest.mark.parametrize("chosen", ["all", "one"])
def test_every_panel_shows_data(watching: Prometheus, chosen: str) -> None:
    """With all targets and with one; but for those that are empty while all is well."""
    excused = {*EMPTY_WHEN_WELL, *(ONLY_WITH_ALL if chosen == "one" else ())}

    wait(lambda: empty(watching, target=chosen) - excused, f"panels without data, with {chosen}")


# With the first PostgreSQL chosen there is no PgBouncer, and no replica's receiver, on its page.
ONLY_WITH_ALL = {
    ("postgres", title)
    for title in (
        "Waiting clients", "Longest wait", "Pools", "Clients", "Statements", "Mean time of pooled statements",
        "Receiver",
    )
} | {("exporter", "What a server does not offer")}  # fmt: skip


def test_no_rule_is_ill(watching: Prometheus) -> None:
    """Prometheus evaluates every rule without an error."""

    def judged(*healths: str) -> list[tuple[str, str]]:
        rules = [rule for group in watching.get("rules")["groups"] for rule in group["rules"]]
        return [(rule["name"], rule.get("lastError", "")) for rule in rules if rule["health"] in healths]

    wait(lambda: judged("unknown"), "rules that were not evaluated yet")

    assert judged("err") == []
    assert judged("ok")


def test_alerts_fire_and_end(stage: Stage, watching: Prometheus) -> None:
    """Faults caused for real raise their alerts, fill the panels that are empty without them, and end when mended."""
    meant = {firing for alerts in RAISED.values() for firing in alerts}
    with caused(stage):
        wait(lambda: meant - firing(watching), "alerts that did not fire")
        wait(lambda: set(EMPTY_WHEN_WELL) & empty(watching), "panels that no fault filled")
    wait(lambda: meant & firing(watching), "alerts that did not end")

    stage.graph.stop()
    stage.pool.stop()
    wait(lambda: AFTERWARDS - firing(watching), "targets whose end raised nothing")
    stage.graph.start()
    stage.pool.start()
    wait(lambda: AFTERWARDS & firing(watching), "targets that did not come back")

    assert len({name for name, _ in meant | AFTERWARDS}) >= 12
