"""Neo4j's part of the fault matrix, see test_fault_matrix.py: a JVM starts slowly, so these are the longest."""

import pytest

from tests.support.fault_cells import CELLS, Fault
from tests.support.fault_matrix import Matrix
from tests.support.watched_victims import BACK_POLLS, SEEN_POLLS

MET = [cell for cell in CELLS if cell[0] == "neo4j"]


@pytest.mark.parametrize(("store", "fault"), [pytest.param(*cell, id=f"{cell[0]}-{cell[1].name}") for cell in MET])
def test_a_fault_of_one_store(matrix: Matrix, store: str, fault: Fault) -> None:
    cell = matrix.meet(matrix.victims[store], fault)

    if fault.down:
        assert cell.seen_polls <= SEEN_POLLS
        assert cell.back_polls <= BACK_POLLS
