"""Every fault of every store on one exporter, and the slowest answers in it: the matrix of explanation/reliability.md.

Runs the three files of tests that FILES names, in which another process asks for /metrics (compressed) and /livez,
twenty times a second between them. Slowest answers are those of a whole fault: on a busy machine they tell of the
machine.
"""

from collections.abc import Iterator, Sequence

from bench.cells import Cell, measured, show
from bench.results import Figure, Outcome, run

BEGIN, END = "<!-- matrix: written by python -m bench faults -->", "<!-- end of matrix -->"
FILES = tuple(f"tests/end_to_end/test_{name}.py" for name in ("fault_matrix", "fault_matrix_neo4j", "changed_secrets"))
STORES = {"postgres": "PostgreSQL", "neo4j": "Neo4j", "minio": "MinIO", "qdrant": "Qdrant (double)"}
ABSENT = {
    ("permission withdrawn", "neo4j"): "Community has no roles",
    ("another version", "minio"): "one version can be had",
}


def measure() -> Outcome:
    cells = measured("FAULT_MATRIX", *FILES)
    show("faults", BEGIN, END, table(cells))
    return Outcome("faults", list(_figures(cells)), {"method": __doc__, "cells": cells})


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """Lay out the matrix: a row a fault, a column a store, and the row's slowest answers."""
    yield f"| fault | {' | '.join(STORES.values())} | slowest /metrics | slowest /livez |"
    yield f"|---|{'---|' * len(STORES)}---:|---:|"
    for fault in dict.fromkeys(cell["fault"] for cell in cells):
        row = {cell["store"]: cell for cell in cells if cell["fault"] == fault}
        told = [_told(row[store]) if store in row else ABSENT.get((fault, store), "") for store in STORES]
        slowest = [f"{max(cell[path] for cell in row.values()):.0f} ms" for path in ("metrics_ms", "livez_ms")]
        yield f"| {fault} | {' | '.join([*told, *slowest])} |"


def _told(cell: Cell) -> str:
    return f"{cell['shown']} after {cell['seen_seconds']:.1f} s; back in {cell['back_seconds']:.1f} s"


def _figures(cells: Sequence[Cell]) -> Iterator[Figure]:
    yield Figure("requests answered 200", "requests", float(sum(cell["requests"] for cell in cells)))
    for store, name in STORES.items():
        for path, key in (("/metrics", "metrics_ms"), ("/livez", "livez_ms")):
            slowest = max(cell[key] for cell in cells if cell["store"] == store)
            yield Figure(f"slowest {path}, {name} failing", "ms", slowest, at_most=10)


if __name__ == "__main__":
    run(measure)
