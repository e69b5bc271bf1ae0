"""The fault matrix: every store through every fault, on one exporter that must not care.

Each cell: /metrics and /livez answer 200 throughout, /health has the right reason within the deadline and one poll,
the series of who is down are gone on the same page, the others do not notice, all is back within two polls, and no
task, file or connection is left over. FAULT_MATRIX=FILE writes down what was measured; `python -m bench faults`
makes docs/explanation/reliability.md of it.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.fault_cells import CELLS, OF_ONE, SECRET_CHANGED, Fault, Page
from tests.support.fault_matrix import Cell, Matrix, failed_polls
from tests.support.fault_targets import (
    OTHER_SECRET,
    SECRET,
    MinioVictim,
    Neo4jVictim,
    PostgresVictim,
    QdrantVictim,
    Victim,
)
from tests.support.scraper import asking

VICTIMS: dict[str, Callable[[Servers], Victim]] = {
    "postgres": PostgresVictim,
    "neo4j": Neo4jVictim,
    "minio": MinioVictim,
    "qdrant": QdrantVictim,
}
SLOWER = {"neo4j": {"interval": "5s"}}  # a JVM that has just started answers its first questions slowly
AUTH_PAUSE = 60.0
SEEN_POLLS = 2 + 1  # the one under way and the next; and one more that ends before we look
BACK_POLLS = 2 + 1


@pytest.fixture(scope="module")
def matrix(
    servers: Servers, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Matrix]:
    """Run a victim of each store that is asked for, a bystander, and the exporter that watches them."""
    stores = {item.callspec.params["store"] for item in request.session.items if item.path == request.path}  # type: ignore[attr-defined]  # pytest's Item has no type for it
    with ExitStack() as stack:
        with ThreadPoolExecutor(len(VICTIMS)) as pool:
            making = {store: pool.submit(VICTIMS[store], servers) for store in VICTIMS if store in stores}
            victims = {store: victim.result() for store, victim in making.items()}
        bystander = servers.qdrant().target("bystander")
        targets = [bystander]
        for victim in victims.values():
            stack.callback(victim.close)
            stack.enter_context(victim.proxy)
            targets += [{**target, **SLOWER.get(victim.store, {})} for target in victim.targets()]
        exporter = stack.enter_context(Exporter(targets, "2s"))
        exporter.wait(lambda: told_all(exporter), "every query to have told something", 120)
        folder = tmp_path_factory.mktemp("asked")
        matrix = Matrix(exporter, stack.enter_context(asking(exporter.port, folder / "answers")), victims, "bystander")
        yield matrix
        assert exporter.stop() == 0
        assert "Traceback" not in exporter.log.read_text()
        if file := os.environ.get("FAULT_MATRIX"):
            matrix.save(Path(file))


def told_all(exporter: Exporter) -> bool:
    """Tell whether every target was reached, has series and no failing query; slow answers are no fault here."""
    targets, page = exporter.health()["targets"], Page(exporter.text())
    return all(page.names(name) and not target["failing_queries"] for name, target in targets.items())


@pytest.mark.parametrize(("store", "fault"), [pytest.param(*cell, id=f"{cell[0]}-{cell[1].name}") for cell in CELLS])
def test_a_fault_of_one_store(matrix: Matrix, store: str, fault: Fault) -> None:
    cell = matrix.meet(matrix.victims[store], fault)

    if fault.down:
        assert cell.seen_polls <= SEEN_POLLS
        assert cell.back_polls <= BACK_POLLS


@pytest.fixture(scope="module")
def refused(matrix: Matrix) -> dict[str, Cell]:
    """Change every store's secret at once, and back: each target waits a minute before it tries again."""
    before = matrix.page()
    failures = {other: failed_polls(before, other) for other in matrix.others(*matrix.victims)}
    matrix.news()
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


@pytest.mark.parametrize("store", OF_ONE)
def test_a_secret_that_changed(refused: dict[str, Cell], store: str) -> None:
    """One refusal, then a minute's rest: three of them would lock a Neo4j user out for everybody."""
    assert refused[store].seen_polls <= SEEN_POLLS
    assert AUTH_PAUSE / 2 < refused[store].back_seconds < 2 * AUTH_PAUSE
