"""How long GET /metrics takes: ours and postgres_exporter on the same tables, in turns.

One request each 100 ms on a kept connection, in rounds that alternate, plain and gzip; the figures are medians of
the rounds' percentiles. Between two polls our page is ready bytes; the first scrape after a poll, which joins and
compresses it, is measured by `bench.cycle`.
"""

import time
from statistics import median, quantiles

from bench.client import Client, page, series
from bench.contestants import both, database
from bench.results import Figure, Outcome, run

ROUNDS = 3
SCRAPES = 40
PAUSE = 0.1

Round = list[float]


def measure() -> Outcome:
    with both() as (exporter, peer):
        ports = {"ours": exporter.port, "peer": peer.port}
        pages = {who: page(port) for who, port in ports.items()}
        rounds: dict[tuple[str, bool], list[Round]] = {}
        sizes: dict[tuple[str, bool], int] = {}
        for _ in range(ROUNDS):
            for gzip in (False, True):
                for who, port in ports.items():
                    seconds, size = scrape(port, gzip=gzip)
                    rounds.setdefault((who, gzip), []).append(seconds)
                    sizes[who, gzip] = size
    figures = [Figure("series on the page", "series", series(pages["ours"]), series(pages["peer"]))]
    for gzip, kind in ((False, "plain"), (True, "gzip")):
        of = {who: rounds[who, gzip] for who in ports}
        p50 = {who: 1000 * median(median(r) for r in found) for who, found in of.items()}
        p99 = {who: 1000 * median(percentile99(r) for r in found) for who, found in of.items()}
        figures += [
            Figure(f"scrape p50, {kind}", "ms", p50["ours"], p50["peer"], times_less=40),
            Figure(f"scrape p99, {kind}", "ms", p99["ours"], p99["peer"]),
            Figure(f"bytes sent, {kind}", "bytes", sizes["ours", gzip], sizes["peer", gzip]),
        ]
    return Outcome(
        "scrape",
        figures,
        {
            "method": __doc__,
            "postgres": database().psql("SHOW server_version")[0][0],
            "seconds": [{"who": who, "gzip": gzip, "rounds": r} for (who, gzip), r in rounds.items()],
        },
    )


def scrape(port: int, *, gzip: bool) -> tuple[Round, int]:
    """Scrape for one round; return the seconds each took and the size of the last body."""
    seconds = []
    with Client(port) as client:
        client.get("/metrics", gzip=gzip)
        for _ in range(SCRAPES):
            time.sleep(PAUSE)
            answer = client.get("/metrics", gzip=gzip)
            seconds.append(answer.seconds)
    return seconds, answer.size


def percentile99(seconds: Round) -> float:
    return quantiles(seconds, n=100, method="inclusive")[98]


if __name__ == "__main__":
    run(measure)
