"""What one 15 s cycle costs: CPU of either exporter, and what PostgreSQL has to do for it.

Both run at the same time for one minute: four polls of ours at its normal interval, everything that it asks once a
minute included; each is scraped every 15 s as Prometheus does (gzip), first by one scraper, then for another minute
by two. CPU is the process's user and system time, all threads, divided by the cycles. Every scrape of ours meets a
page that no client requested since the poll, so its duration is that of a first scrape.
"""

import re
import time
from statistics import median
from typing import NamedTuple

from bench.client import Client
from bench.contestants import INTERVAL, PostgresExporter, both, database
from bench.process import cpu_seconds
from bench.results import Figure, Outcome, run
from tests.support.exporter_process import Exporter

CYCLES = 4
USERS = {"ours": "monitor", "peer": "peer"}
_SETTLED = 8.0  # from here on, any minute holds four polls and one round of what is asked once a minute
_DATABASE_TIME = """
SELECT rolname, sum(total_exec_time) FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid GROUP BY 1
"""
_CONNECTIONS = "SELECT usename, count(*) FROM pg_stat_activity WHERE usename IS NOT NULL GROUP BY 1"


class Cost(NamedTuple):
    """What a cycle cost one exporter and its database, and how long its scrapes took."""

    cpu_ms: float
    database_ms: float
    statements: float
    connections_made: float
    connections_held: int
    scrapes: list[float]


def measure() -> Outcome:
    with both() as (exporter, peer):
        time.sleep(_SETTLED)
        runs = {scrapers: watch(exporter, peer, scrapers) for scrapers in (1, 2)}
    one, two = runs[1], runs[2]
    first = {who: 1000 * median(one[who].scrapes) for who in USERS}
    figures = [
        Figure("CPU a cycle, one scraper", "ms", one["ours"].cpu_ms, one["peer"].cpu_ms, times_less=4),
        Figure("CPU a cycle, two scrapers", "ms", two["ours"].cpu_ms, two["peer"].cpu_ms),
        Figure("first scrape after a poll, gzip, median", "ms", first["ours"], first["peer"]),
        Figure("time in PostgreSQL a cycle, one scraper", "ms", one["ours"].database_ms, one["peer"].database_ms),
        Figure("time in PostgreSQL a cycle, two scrapers", "ms", two["ours"].database_ms, two["peer"].database_ms),
        Figure("statements a cycle, one scraper", "statements", one["ours"].statements, one["peer"].statements),
        Figure("statements a cycle, two scrapers", "statements", two["ours"].statements, two["peer"].statements),
        Figure("connections held", "connections", one["ours"].connections_held, one["peer"].connections_held),
        Figure("new connections a cycle", "connections", one["ours"].connections_made, one["peer"].connections_made),
    ]
    details = {scrapers: {who: cost._asdict() for who, cost in costs.items()} for scrapers, costs in runs.items()}
    return Outcome("cycle", figures, {"method": __doc__, "scrapers": details})


def watch(exporter: Exporter, peer: PostgresExporter, scrapers: int) -> dict[str, Cost]:
    """Watch both for some cycles, each scraped so many times a cycle."""
    server = database()
    pids = {"ours": exporter.pid, "peer": peer.pid or 0}
    ports = {"ours": exporter.port, "peer": peer.port}
    scrapes: dict[str, list[float]] = {who: [] for who in USERS}
    _log_statements("all")
    server.psql("SELECT pg_stat_statements_reset()")
    logged = len(server.log.read_bytes())
    cpu = {who: cpu_seconds(pid) for who, pid in pids.items()}
    began = time.monotonic()
    for cycle in range(CYCLES):
        for turn in range(scrapers):
            for who, port in ports.items():
                with Client(port) as client:
                    answer = client.get("/metrics", gzip=True)
                if turn == 0:
                    scrapes[who].append(answer.seconds)
                time.sleep(1)
        time.sleep(max(0.0, began + (cycle + 1) * INTERVAL - time.monotonic()))
    cpu = {who: (cpu_seconds(pid) - cpu[who]) * 1000 / CYCLES for who, pid in pids.items()}
    log = server.log.read_bytes()[logged:].decode(errors="replace")
    _log_statements("none")
    seconds = {user: float(total) for user, total in server.psql(_DATABASE_TIME)}
    held = {user: int(count) for user, count in server.psql(_CONNECTIONS)}
    return {
        who: Cost(
            cpu_ms=cpu[who],
            database_ms=seconds.get(user, 0.0) / CYCLES,
            statements=_count(log, user, "(?:statement|execute [^:]*):") / CYCLES,
            connections_made=_count(log, user, "connection authorized:") / CYCLES,
            connections_held=held.get(user, 0),
            scrapes=scrapes[who],
        )
        for who, user in USERS.items()
    }


def _log_statements(what: str) -> None:
    database().psql(f"ALTER SYSTEM SET log_statement = '{what}'")
    database().psql("SELECT pg_reload_conf()")


def _count(log: str, user: str, event: str) -> int:
    return len(re.findall(rf"^{user} .*LOG:  {event}", log, re.MULTILINE))


if __name__ == "__main__":
    run(measure)
