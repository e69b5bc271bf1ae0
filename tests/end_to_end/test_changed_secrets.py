"""Every store's secret changes at once, and back: the last row of the fault matrix, see test_fault_matrix.py."""

import pytest

from tests.support.fault_cells import SECRET_CHANGED
from tests.support.fault_matrix import Cell, Matrix, failed_polls
from tests.support.fault_targets import OTHER_SECRET, SECRET
from tests.support.watched_victims import SEEN_POLLS, VICTIMS

AUTH_PAUSE = 60.0


@pytest.fixture(scope="module")
def refused(matrix: Matrix) -> dict[str, Cell]:
    """Change every store's secret at once, and back: each target waits a minute before it tries again."""
    before = matrix.page()
    failures = {other: failed_polls(before, other) for other in matrix.others(*matrix.victims)}
    matrix.new_requests()
    for victim in matrix.victims.values():
        victim.change_secret(OTHER_SECRET)
    seen = matrix.wait(matrix.victims, SECRET_CHANGED.seen, before, "a refusal")
    for store, victim in matrix.victims.items():
        matrix.assert_gone(store)
        victim.change_secret(SECRET)
    back = matrix.wait(matrix.victims, lambda look: look.value("datatier_up") == 1, before, "to be up")
    matrix.assert_untouched(list(failures), failures)
    matrix.assert_nothing_leaked()
    after = matrix.page()
    assert {
        failed_polls(after, store, reason="auth") - failed_polls(before, store, reason="auth") for store in seen
    } == {1}
    return {cell.store: cell for cell in matrix.note(SECRET_CHANGED, seen, back)}


@pytest.mark.parametrize("store", VICTIMS)
def test_a_secret_that_changed(refused: dict[str, Cell], store: str) -> None:
    """One refusal, then a minute's rest: three of them would lock a Neo4j user out for everybody."""
    assert refused[store].seen_polls <= SEEN_POLLS
    assert AUTH_PAUSE / 2 < refused[store].back_seconds < 2 * AUTH_PAUSE
