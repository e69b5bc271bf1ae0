"""What a scrape gets while PostgreSQL is frozen (SIGSTOP): our answers, and those of postgres_exporter.

Ours is scraped ten times a second, postgres_exporter again as soon as the scrape before has ended. The client gives
up after 12 s, a little more than Prometheus does by default; a scrape without an answer counts as these 12 s.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from bench.client import Client, page
from bench.contestants import both, database
from bench.results import Figure, Outcome, run
from bench.scrape import percentile99

PATIENCE = 12.0
SECONDS = 25.0  # an interval, the deadline of a ping, and some more
PAUSE = 0.1


def measure() -> Outcome:
    with both() as (exporter, peer), ThreadPoolExecutor(2) as pool:
        server = database()
        server.freeze()
        try:
            theirs = pool.submit(scrapes, peer.port, 0.0)
            down = pool.submit(seconds_to_down, exporter.port)
            mine = scrapes(exporter.port, PAUSE)
            found = {"ours": mine, "peer": theirs.result()}
        finally:
            server.thaw()
    answered = {who: [s for s in seconds if s is not None] for who, seconds in found.items()}
    taken = {who: [PATIENCE if s is None else s for s in seconds] for who, seconds in found.items()}
    share = {who: 100 * len(answered[who]) / len(found[who]) for who in found}
    p50 = {who: 1000 * median(seconds) for who, seconds in taken.items()}
    figures = [
        Figure("scrapes answered within 12 s", "%", share["ours"], share["peer"]),
        Figure("scrape p50, gzip", "ms", p50["ours"], p50["peer"]),
        Figure("scrape p99, gzip", "ms", 1000 * percentile99(taken["ours"]), at_most=10),
        Figure("slowest scrape", "ms", 1000 * max(taken["ours"]), 1000 * max(taken["peer"])),
        Figure("freeze to datatier_up 0", "s", down.result()),
    ]
    return Outcome("frozen", figures, {"method": __doc__, "scrapes": {who: len(s) for who, s in found.items()}})


def scrapes(port: int, pause: float) -> list[float | None]:
    """Scrape for a while; None is a scrape without an answer."""
    end = time.monotonic() + SECONDS
    taken: list[float | None] = []
    while time.monotonic() < end:
        try:
            with Client(port, PATIENCE) as client:
                taken.append(client.get("/metrics", gzip=True).seconds)
        except OSError:
            taken.append(None)
        time.sleep(pause)
    return taken


def seconds_to_down(port: int) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < SECONDS:
        time.sleep(0.5)
        if 'datatier_up{store="postgres",target="bench"} 0.0' in page(port):
            return time.monotonic() - began
    return None


if __name__ == "__main__":
    run(measure)
