"""10,000 polls while servers fail and return at random: what the exporter holds, in their first half and their second.

Three targets on each of four real servers (Qdrant's is the tests' double) are polled every 400 ms, each through a TCP
proxy of its own that now and then resets connections, swallows what is sent or is 300 ms late, by a seed; about every
other poll fails. After each 1,000 polls all faults end, and what the exporter holds is read when every target was
polled well again, medians of some looks: memory, descriptors, sockets among them, threads and asyncio tasks; on
PostgreSQL, its backends. Pools and threads fill up to their caps in the first half; what still grows in the second is
a leak: the most of it may be a tenth, or three, more than the most of the first. The event loop's lag is what the
exporter tells of it, read several times a second. `POLLS=2000 python -m bench.soak` is shorter.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median

from bench.contestants import stores
from bench.results import Figure, Outcome, run
from testkit import Server
from testkit.postgres import Postgres
from tests.support.soak import Soak, soaking

POLLS = int(os.environ.get("POLLS", "10000"))
ROUND = 1000
INTERVAL = "400ms"
TARGETS = 3
SEED = 20261127
_BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'datatier-exporter'"
_HELD = (
    ("rss_mib", "RSS", "MiB"),
    ("files", "file descriptors", "descriptors"),
    ("sockets", "sockets", "sockets"),
    ("threads", "threads", "threads"),
    ("tasks", "asyncio tasks", "tasks"),
    ("backends", "PostgreSQL backends", "connections"),
)


def measure() -> Outcome:
    servers = stores()
    with soaking(servers, INTERVAL, SEED, TARGETS) as soak:
        rounds = [_round(soak, servers["postgres"]) for _ in range(POLLS // ROUND)]
    figures = [
        *_held(rounds),
        Figure("event loop lag, median", "ms", 1000 * median(soak.lags)),
        Figure("event loop lag, largest", "ms", 1000 * max(soak.lags)),
    ]
    return Outcome("soak", figures, {"method": __doc__, "seed": SEED, "rounds": rounds})


def _held(rounds: Sequence[dict[str, float]]) -> list[Figure]:
    middle, last = rounds[len(rounds) // 2 - 1], rounds[-1]
    figures = [Figure("polls", "polls", last["polls"]), Figure("of them failed", "polls", last["failed"])]
    for name, what, unit in _HELD:
        held = [entry[name] for entry in rounds]
        early, late = max(held[: len(held) // 2]), max(held[len(held) // 2 :])
        label = f"{what} at most from poll {middle['polls']:,.0f} on (before: {early:.4g})"
        figures.append(Figure(label, unit, late, at_most=max(1.1 * early, early + 3)))
    return figures


def _round(soak: Soak, postgres: Server) -> dict[str, float]:
    soak.bad_days(ROUND)
    held = asdict(soak.calm())
    assert isinstance(postgres, Postgres)
    return {**held, "failed": soak.failed(), "backends": int(postgres.psql(_BACKENDS)[0][0])}


if __name__ == "__main__":
    run(measure)
