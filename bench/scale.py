"""What 10, 100 and 1,000 targets cost: a thousand series each, polled every 15 s, scraped by two, gzip.

The servers are made up (`bench.synthetic`), all that is ours is real: the figures leave out drivers and networks, and
hold what making rows up costs. After a start and an interval to settle, 45 s are measured: two scrapers ask each 15 s,
half an interval apart, and /livez is asked ten times a second, which shows how long the event loop is ever held. CPU is
the process's user and system time, all threads; a scrape's time ends with the last byte. Each scrape meets a page that
changed since the last one. `TARGETS=10,100 python -m bench.scale` is shorter.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import NamedTuple

from bench.client import Answer, Client
from bench.contestants import INTERVAL
from bench.health import probe
from bench.process import cpu_seconds, memory_mib
from bench.results import Figure, Outcome, run
from bench.scrape import percentile99
from bench.synthetic import SERIES, Synthetic

SIZES = tuple(int(size) for size in os.environ.get("TARGETS", "10,100,1000").split(","))
SCRAPES = 6
PAUSE = 0.1
_LARGEST_PAGE = 1 << 28
_GOAL = 20.0  # percent of a core, at 1,000 targets; in proportion below


class Cost(NamedTuple):
    """What so many targets cost: a share of a core, and how long scrapes and probes waited."""

    cpu_percent: float
    scrapes: list[Answer]
    plain: Answer
    livez: list[float]
    rss_mib: float
    started_s: float


def measure() -> Outcome:
    costs = {size: watch(size) for size in SIZES}
    figures = [figure for size, cost in costs.items() for figure in _figures(size, cost)]
    details = {str(size): cost._asdict() for size, cost in costs.items()}
    return Outcome("scale", figures, {"method": __doc__, "series of a target": SERIES, "costs": details})


def watch(targets: int) -> Cost:
    """Start an exporter of so many targets and watch it for three intervals."""
    began = time.monotonic()
    with Synthetic(targets, INTERVAL) as exporter, ProcessPoolExecutor(1) as pool:
        exporter.wait_started()
        started = time.monotonic() - began
        time.sleep(INTERVAL)
        before, at = cpu_seconds(exporter.pid), time.monotonic()
        livez = pool.submit(probe, exporter.port, ["/livez"], SCRAPES * INTERVAL / 2, PAUSE)
        scrapes = []
        for number in range(1, SCRAPES + 1):
            scrapes.append(_scrape(exporter.port, gzip=True))
            time.sleep(max(0.0, at + number * INTERVAL / 2 - time.monotonic()))
        spent = (cpu_seconds(exporter.pid) - before) / (time.monotonic() - at)
        rss = memory_mib(exporter.pid)
        return Cost(100 * spent, scrapes, _scrape(exporter.port, gzip=False), livez.result()["/livez"], rss, started)


def _scrape(port: int, *, gzip: bool) -> Answer:
    with Client(port, timeout=60, largest=_LARGEST_PAGE) as client:
        return client.get("/metrics", gzip=gzip)


def _figures(targets: int, cost: Cost) -> list[Figure]:
    where = f"{targets:,} targets"
    goal = _GOAL * targets / 1000
    return [
        Figure(f"CPU of a core, {where}", "%", cost.cpu_percent, at_most=goal if targets == max(SIZES) else None),
        Figure(f"CPU a target and cycle, {where}", "ms", 10 * cost.cpu_percent * INTERVAL / targets),
        Figure(f"scrape, gzip, median, {where}", "ms", 1000 * median(scrape.seconds for scrape in cost.scrapes)),
        Figure(f"scrape, plain, {where}", "ms", 1000 * cost.plain.seconds),
        Figure(f"page, {where}", "bytes", cost.plain.size),
        Figure(f"page, gzip, {where}", "bytes", cost.scrapes[-1].size),
        Figure(f"/livez p99, {where}", "ms", 1000 * percentile99(cost.livez)),
        Figure(f"/livez, slowest, {where}", "ms", 1000 * max(cost.livez)),
        Figure(f"RSS, {where}", "MiB", cost.rss_mib),
        Figure(f"start to the last target's first poll, {where}", "s", cost.started_s),
    ]


if __name__ == "__main__":
    run(measure)
