"""How long probes take at 50 targets while 8 clients scrape /metrics: once a second each, then as fast as they can.

The targets are made up (`bench.synthetic`): a thousand series each, polled every 15 s, so the page is 5 MB and changes
three times a second. The clients ask for gzip, as Prometheus does, in a process of their own, bounded in requests and
time. Once a second is fifteen times what Prometheus does by default; a closed loop shows what is left when a core is
all scrapes. Every 20 ms one of the three paths is asked, in turns, on a connection that is kept.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from statistics import median

from bench.client import Client
from bench.contestants import INTERVAL
from bench.machine import ROOT
from bench.results import Figure, Outcome, run
from bench.scrape import percentile99
from bench.synthetic import Synthetic

TARGETS = 50
PATHS = ("/health", "/livez", "/health/targets/target-0007")
CLIENTS = 8
SECONDS = 20.0
MOST_SCRAPES = 20_000  # of each client
PAUSE = 0.02


def measure() -> Outcome:
    with Synthetic(TARGETS, INTERVAL) as exporter:
        exporter.wait_started()
        quiet = probe(exporter.port, PATHS, SECONDS / 2)
        figures = [Figure(f"{path} p99, nobody scrapes", "ms", 1000 * percentile99(quiet[path])) for path in PATHS]
        for how, every in (("once a second", 1.0), ("in a closed loop", 0.0)):
            with scraped(exporter.port, every) as clients:
                time.sleep(0.5)
                found = probe(exporter.port, PATHS, SECONDS)
                done = int(clients.communicate(timeout=60)[0])
            for path in PATHS:
                p99 = 1000 * percentile99(found[path])
                figures += [
                    Figure(f"{path} p50, 8 clients scrape {how}", "ms", 1000 * median(found[path])),
                    Figure(f"{path} p99, 8 clients scrape {how}", "ms", p99, at_most=2.0 if every else None),
                ]
            figures.append(Figure(f"scrapes meanwhile, {how}", "1/s", done / (SECONDS + 1)))
    return Outcome("health", figures, {"method": __doc__})


def probe(port: int, paths: Sequence[str], seconds: float, pause: float = PAUSE) -> dict[str, list[float]]:
    """Ask the paths in turns for a while; return the seconds that each answer took."""
    found: dict[str, list[float]] = {path: [] for path in paths}
    end = time.monotonic() + seconds
    with Client(port, timeout=60) as client:
        for path in cycle(paths):
            found[path].append(client.get(path).seconds)
            if time.monotonic() > end:
                return found
            time.sleep(pause)
    return found


@contextmanager
def scraped(port: int, every: float) -> Iterator[subprocess.Popen[str]]:
    """Run the scraping clients in a process of their own; it prints how many scrapes it made."""
    command = [sys.executable, "-m", "bench.health", str(port), str(every)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def scrape_for_long(port: int, every: float, phase: float) -> int:
    """Scrape so often, 0 being as soon as there is an answer; return how many times."""
    began = time.monotonic()
    count = 0
    with Client(port) as client:
        while count < MOST_SCRAPES and time.monotonic() < began + SECONDS + 1:
            client.get("/metrics", gzip=True)
            count += 1
            time.sleep(max(0.0, began + (count + phase) * every - time.monotonic()))
    return count


if __name__ == "__main__":
    if len(sys.argv) > 1:
        port, every = int(sys.argv[1]), float(sys.argv[2])
        with ThreadPoolExecutor(CLIENTS) as pool:
            futures = [pool.submit(scrape_for_long, port, every, n / CLIENTS) for n in range(CLIENTS)]
            print(sum(future.result() for future in futures))
    else:
        run(measure)
