"""How long /health and /livez take while 8 clients scrape /metrics as fast as they get answers.

The clients are a process of their own on kept connections, bounded in requests and time, and scrape the page of the
500 tables, gzip as Prometheus asks for, then plain (about 1.5 MB each). One probe goes out every 20 ms.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median

from bench.client import Client
from bench.contestants import ours, wait_polled
from bench.machine import ROOT
from bench.results import Figure, Outcome, run
from bench.scrape import percentile99

CLIENTS = 8
SECONDS = 6.0
MOST_SCRAPES = 20_000  # of each client
PAUSE = 0.02


def measure() -> Outcome:
    figures = []
    with ours() as exporter:
        wait_polled(exporter)
        quiet = probe(exporter.port, "/health", SECONDS / 2)
        figures.append(Figure("/health p99, nobody scrapes", "ms", 1000 * percentile99(quiet)))
        for kind in ("gzip", "plain"):
            with scraped(exporter.port, kind) as clients:
                time.sleep(0.5)
                health = probe(exporter.port, "/health", SECONDS / 2)
                livez = probe(exporter.port, "/livez", SECONDS / 2)
                done = int(clients.communicate(timeout=60)[0])
            figures += [
                Figure(f"/health p50, 8 clients scrape {kind}", "ms", 1000 * median(health)),
                Figure(f"/health p99, 8 clients scrape {kind}", "ms", 1000 * percentile99(health)),
                Figure(f"/livez p99, 8 clients scrape {kind}", "ms", 1000 * percentile99(livez)),
                Figure(f"scrapes meanwhile, {kind}", "1/s", done / (SECONDS + 1)),
            ]
    return Outcome("health", figures, {"method": __doc__})


def probe(port: int, path: str, seconds: float) -> list[float]:
    found = []
    end = time.monotonic() + seconds
    with Client(port) as client:
        while time.monotonic() < end:
            found.append(client.get(path).seconds)
            time.sleep(PAUSE)
    return found


@contextmanager
def scraped(port: int, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Run the scraping clients in a process of their own; it prints how many scrapes it made."""
    command = [sys.executable, "-m", "bench.health", str(port), kind]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def scrape_for_long(port: int, *, gzip: bool) -> int:
    """Scrape in a closed loop; return how often."""
    end = time.monotonic() + SECONDS + 1
    count = 0
    with Client(port) as client:
        while count < MOST_SCRAPES and time.monotonic() < end:
            client.get("/metrics", gzip=gzip)
            count += 1
    return count


if __name__ == "__main__":
    if len(sys.argv) > 1:
        port, gzip = int(sys.argv[1]), sys.argv[2] == "gzip"
        with ThreadPoolExecutor(CLIENTS) as pool:
            futures = [pool.submit(scrape_for_long, port, gzip=gzip) for _ in range(CLIENTS)]
            print(sum(future.result() for future in futures))
    else:
        run(measure)
