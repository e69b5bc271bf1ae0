"""Four stores as victims of faults, a bystander, and the one exporter that watches them all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.fault_cells import Page
from tests.support.fault_matrix import Matrix
from tests.support.fault_targets import MinioVictim, Neo4jVictim, PostgresVictim, QdrantVictim, Victim
from tests.support.scraper import scraping

VICTIMS: dict[str, Callable[[Servers], Victim]] = {
    "postgres": PostgresVictim,
    "neo4j": Neo4jVictim,
    "minio": MinioVictim,
    "qdrant": QdrantVictim,
}
SLOWER = {"neo4j": {"interval": "5s"}}  # a JVM that has just started answers its first questions slowly
SEEN_POLLS = 2 + 1  # the one under way and the next; and one more that ends before we look
BACK_POLLS = 2 + 1


@contextmanager
def watched_victims(servers: Servers, folder: Path) -> Iterator[Matrix]:
    """Run a victim of each store, a bystander, the exporter that watches them, and a scraper of its pages."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(len(VICTIMS)) as pool:
            making = {store: pool.submit(make, servers) for store, make in VICTIMS.items()}
            victims = {store: victim.result() for store, victim in making.items()}
        targets = [servers.qdrant().target("bystander")]
        for victim in victims.values():
            stack.callback(victim.close)
            stack.enter_context(victim.proxy)
            targets += [{**target, **SLOWER.get(victim.store, {})} for target in victim.targets()]
        exporter = stack.enter_context(Exporter(targets, "2s"))
        exporter.wait(lambda: told_all(exporter), "every query to have a sample or a reason", 120)
        scraper = stack.enter_context(scraping(exporter.port, folder / "answers"))
        yield Matrix(exporter, scraper, victims, "bystander")
        assert exporter.stop() == 0
        assert "Traceback" not in exporter.log.read_text()


def told_all(exporter: Exporter) -> bool:
    """Tell whether every target was reached, has series and no failing query; slow answers are no fault here."""
    targets, page = exporter.health()["targets"], Page(exporter.text())
    return all(page.names(name) and not target["failing_queries"] for name, target in targets.items())
