"""Every hostile answer of every store on one exporter: the table of docs/explanation/reliability.md.

Runs tests/end_to_end/test_hostile_answers.py. The servers that answer are a process of their own, another one asks for
/livez and /metrics twenty times a second between them; memory is the kernel's peak of the exporter's, above what it had
just before. Slowest answers are those of a whole attack: on a busy machine they tell of the machine.
"""

from collections.abc import Iterator, Sequence

from bench.cells import Cell, measured, show
from bench.results import Figure, Outcome, run
from testkit.hostile import BINARY, KINDS

BEGIN, END = "<!-- hostile: written by python -m bench hostile -->", "<!-- end of hostile -->"
STORES = {
    "postgres": "PostgreSQL",
    "pgbouncer": "PgBouncer",
    "neo4j": "Neo4j",
    "qdrant": "Qdrant",
    "minio": "MinIO",
    "patroni": "Patroni",
}


def measure() -> Outcome:
    cells = measured("HOSTILE", "tests/end_to_end/test_hostile_answers.py")
    show("hostile", BEGIN, END, table(cells))
    return Outcome("hostile", list(_figures(cells)), {"method": __doc__, "cells": cells})


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """Lay out the table: a row a client, a column a kind of answer."""
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
