"""How much memory an exporter holds that only polls: one store and four, side by side for a good minute.

RSS counts pages of shared libraries that other processes may use, too; the anonymous part is the process's own.
Afterwards each page is scraped some times, plain and gzip, and RSS is read once more.
"""

import time
from contextlib import ExitStack

from bench.client import Client
from bench.contestants import FOUR, INTERVAL, targets
from bench.process import memory_mib
from bench.results import Figure, Outcome, run
from tests.support.exporter_process import Exporter

SECONDS = 65.0
SCRAPES = 20


def measure() -> Outcome:
    watched = {"PostgreSQL only": targets("postgres"), "four stores": targets(*FOUR)}
    goals = {"PostgreSQL only": 55.0, "four stores": 110.0}
    figures = []
    with ExitStack() as stack:
        exporters = {
            name: stack.enter_context(Exporter(entries, interval=f"{INTERVAL:g}s")) for name, entries in watched.items()
        }
        time.sleep(SECONDS)
        for name, exporter in exporters.items():
            idle, own = memory_mib(exporter.pid), memory_mib(exporter.pid, "RssAnon")
            _scrape(exporter.port)
            figures += [
                Figure(f"RSS idle, {name}", "MiB", idle, at_most=goals[name]),
                Figure(f"of it anonymous, {name}", "MiB", own),
                Figure(f"RSS after {2 * SCRAPES} scrapes, {name}", "MiB", memory_mib(exporter.pid)),
            ]
    return Outcome("memory", figures, {"method": __doc__, "seconds": SECONDS})


def _scrape(port: int) -> None:
    with Client(port) as client:
        for _ in range(SCRAPES):
            client.get("/metrics")
            client.get("/metrics", gzip=True)


if __name__ == "__main__":
    run(measure)
