"""The fault matrix: every store through every fault, on one exporter that must not care; Neo4j's in a file of its own.

Each cell: /metrics and /livez answer 200 throughout, /health has the right reason within the deadline and one poll,
the series of who is down are gone on the same page, the others do not notice, all is back within two polls, and no
task, file or connection is left over. FAULT_MATRIX=FILE writes down what was measured; `python -m bench faults`
makes docs/explanation/reliability.md of it.
"""

import pytest

from tests.support.fault_cells import CELLS, Fault
from tests.support.fault_matrix import Matrix
from tests.support.watched_victims import BACK_POLLS, SEEN_POLLS

MET = [cell for cell in CELLS if cell[0] != "neo4j"]


@pytest.mark.parametrize(("store", "fault"), [pytest.param(*cell, id=f"{cell[0]}-{cell[1].name}") for cell in MET])
def test_a_fault_of_one_store(matrix: Matrix, store: str, fault: Fault) -> None:
    cell = matrix.meet(matrix.victims[store], fault)

    if fault.down:
        assert cell.seen_polls <= SEEN_POLLS
        assert cell.back_polls <= BACK_POLLS
