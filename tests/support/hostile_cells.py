"""One store's server turns hostile, and well again: what it cost the exporter, and what the pages showed."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testkit.hostile import Hostile
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.scraper import Scraper

MEBIBYTE = 2**20
PATIENCE = 60.0
_INSIDE = {"patroni": "patroni"}  # the query that tells of what is no target of its own


@dataclass(frozen=True)
class Cell:
    """What was seen; rss is the peak above what it was just before."""

    store: str
    kind: str
    reason: str
    rss_mib: float
    livez_ms: float
    livez_asked: int
    back_seconds: float
    back_polls: float


def upstreams(servers: Servers, pgbouncer: int) -> dict[str, int]:
    """Return the real servers' ports; there is no real Patroni here."""
    return {
        "postgres": servers.postgres().port,
        "pgbouncer": pgbouncer,
        "qdrant": servers.qdrant().port,
        "neo4j": servers.neo4j().port,
        "minio": servers.minio().port,
        "patroni": 0,
    }


def targets(servers: Servers, hostile: Hostile, pgbouncer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a target for each store, through the hostile process, and one whose Patroni is there."""
    described = {
        "postgres": servers.postgres().target("postgres"),
        "pgbouncer": pgbouncer,
        "qdrant": servers.qdrant().target("qdrant"),
        "neo4j": servers.neo4j().target("neo4j"),
        "minio": servers.minio().target("minio"),
    }
    through = [
        {**target, "url": _at(target["url"], hostile.ports[store])}
        for store, target in described.items()
        if store in hostile.ports
    ]
    if "patroni" in hostile.ports:
        address = f"http://127.0.0.1:{hostile.ports['patroni']}"
        through.append(servers.postgres().target("patroni", patroni=address))
    return through


def _at(url: str, port: int) -> str:
    """Put another port into a URL whose host is this machine."""
    head, _, rest = url.rpartition("127.0.0.1:")
    assert head, f"not on this machine: {url}"
    return f"{head}127.0.0.1:{port}" + rest.lstrip("0123456789")


class Stage:
    """An exporter whose servers turn hostile one after the other."""

    def __init__(self, exporter: Exporter, hostile: Hostile, scraper: Scraper, polls: int = 3) -> None:
        self._exporter = exporter
        self._hostile = hostile
        self._scraper = scraper
        self._polls = polls
        self.cells: list[Cell] = []

    def meet(self, store: str, kind: str) -> Cell:
        """Let a server be hostile for some polls, and wait for all to be as before."""
        self._exporter.wait(lambda: not self._reason(store), f"{store} to be well", PATIENCE)
        self._scraper.new_requests()
        base = self._forget_peak()
        self._hostile.become(store, kind)
        self._exporter.wait(lambda: bool(self._reason(store)), f"{store}, {kind}: a reason", PATIENCE)
        reason, first = self._reason(store), self._count(store)
        self._exporter.wait(lambda: self._count(store) >= first + self._polls, "some more polls", PATIENCE)
        reason = self._reason(store) or reason
        peak = self._memory("VmHWM")
        self._hostile.become(store)
        began, first = time.monotonic(), self._count(store)
        self._exporter.wait(lambda: not self._reason(store), f"{store}, {kind}: the end", PATIENCE)
        took, back = time.monotonic() - began, self._count(store) - first
        asked = [one for one in self._scraper.new_requests() if one.path == "/livez"]
        assert {one.status for one in asked} == {200}
        slowest = max(one.seconds for one in asked)
        cell = Cell(store, kind, reason, (peak - base) / MEBIBYTE, slowest * 1000, len(asked), took, back)
        self.cells.append(cell)
        return cell

    def save(self, file: Path) -> None:
        file.write_text(json.dumps([asdict(cell) for cell in self.cells], indent=1))

    def _reason(self, store: str) -> str:
        """Return why a store cannot be asked, as the last poll saw it; empty where it can."""
        target = self._exporter.health(f"/health/targets/{store}?raw=1")["targets"][store]
        if store in _INSIDE:
            failing = {query["query"]: query["reason"] for query in target["failing_queries"]}
            return str(failing.get(_INSIDE[store], ""))
        return _code(target["reasons"]) if target["state"] == "down" else ""

    def _count(self, store: str) -> float:
        return self._exporter.value("datatier_polls_total", target=store) or 0.0

    def _memory(self, field: str) -> int:
        lines = Path(f"/proc/{self._exporter.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))

    def _forget_peak(self) -> int:
        """Let the kernel's peak begin anew at what is in use now, and return that."""
        Path(f"/proc/{self._exporter.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")


def _code(reasons: Collection[Mapping[str, Any]]) -> str:
    return str(next((reason["code"] for reason in reasons), ""))
