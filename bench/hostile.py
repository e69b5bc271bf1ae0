"""Every hostile answer of every store on one exporter: the table of docs/reliability.md.

Runs tests/integration/test_hostile_answers.py. The servers that answer are a process of their own, another one asks for
/livez and /metrics twenty times a second between them; memory is the kernel's peak of the exporter's, above what it had
just before. Slowest answers are those of a whole attack: on a busy machine they tell of the machine.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.machine import facts
from bench.results import Figure, Outcome, run
from tests.servers.hostile import BINARY, KINDS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- hostile: written by python -m bench hostile -->", "<!-- end of hostile -->"
STORES = {
    "postgres": "PostgreSQL",
    "pgbouncer": "PgBouncer",
    "neo4j": "Neo4j",
    "qdrant": "Qdrant",
    "minio": "MinIO",
    "patroni": "Patroni",
}
Cell = Mapping[str, Any]


def measure() -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.json"
        command = [sys.executable, "-m", "pytest", "-q", "tests/integration/test_hostile_answers.py"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "HOSTILE": str(file)}, check=True)
        cells: list[Cell] = json.loads(file.read_text())
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, "", *table(cells), "", END + after]))
    return Outcome("hostile", list(_figures(cells)), {"method": __doc__, "cells": cells})


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """Lay out the table: a row a client, a column a kind of answer."""
    where = facts()
    yield f"`python -m bench hostile` on {str(where['date'])[:10]}, {where['cores']} cores, load {where['load_1m']}:"
    yield ""
    yield f"| client | {' | '.join(KINDS)} |"
    yield f"|---|{'---|' * len(KINDS)}"
    for store, name in STORES.items():
        row = {cell["kind"]: cell for cell in cells if cell["store"] == store}
        yield f"| {name} | {' | '.join(_told(store, row.get(kind)) for kind in KINDS)} |"


def _told(store: str, cell: Cell | None) -> str:
    if cell is None:
        return "no such thing in the protocol" if store in BINARY else ""
    memory, slowest, back = max(0.0, cell["rss_mib"]), cell["livez_ms"], cell["back_seconds"]
    return f"`{cell['reason']}`; +{memory:.0f} MiB; /livez {slowest:.0f} ms; back in {back:.1f} s"


def _figures(cells: Sequence[Cell]) -> Iterator[Figure]:
    for store, name in STORES.items():
        own = [cell for cell in cells if cell["store"] == store]
        yield Figure(f"memory, {name} hostile", "MiB", max(cell["rss_mib"] for cell in own), at_most=64)
        yield Figure(f"slowest /livez, {name} hostile", "ms", max(cell["livez_ms"] for cell in own))


if __name__ == "__main__":
    run(measure)
