"""What watching costs PostgreSQL: 15 minutes, averaged to 15 s, of ours and of postgres_exporter 0.11.1.

Three servers (500 tables, 4,000 tables, 20 databases of 50 tables), all with 4,900 statements in pg_stat_statements,
are each watched by four exporters at the same time: either of the two with what it does by default, and with
`postgres_exporter.yaml`, a queries.yaml that ours imports as it is. Each is scraped every 15 s, and logs in with a
role of its own, by which pg_stat_statements (planning and executing) and the log (logins) tell them apart. On 20
databases postgres_exporter runs with --auto-discover-databases, or it would see one of them. A series is one on the
page, those of the exporter's own process included. `MINUTES=2 python -m bench.load` is shorter.
"""

import os
import re
import time
from contextlib import ExitStack
from typing import NamedTuple

from bench.client import Client, page, series
from bench.contestants import INTERVAL, QUERIES_YAML, PostgresExporter
from bench.results import Figure, Outcome, run
from bench.sizes import SIZES, Size, dsn, server
from testkit.postgres import Postgres
from tests.support.exporter_process import Exporter

SECONDS = 60 * float(os.environ.get("MINUTES", "15"))
ROLES = ("ours", "peer", "ours_yaml", "peer_yaml")
_SPENT = """
SELECT rolname, sum(calls), sum(total_plan_time + total_exec_time)
FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid GROUP BY 1
"""
_HELD = "SELECT usename, count(*) FROM pg_stat_activity WHERE usename IS NOT NULL GROUP BY 1"


class Cost(NamedTuple):
    """What 15 s cost by one role, on average, and how many series that gave."""

    statements: float
    server_ms: float
    logins: float
    held: int
    series: int


def measure() -> Outcome:
    with ExitStack() as stack:
        servers = {size: stack.enter_context(server(size, *ROLES)) for size in SIZES}
        ports = {size: _watch(stack, size, postgres) for size, postgres in servers.items()}
        _scrape(ports, 2 * INTERVAL)  # what is asked once at the start is not what a cycle costs
        logged = {size: len(postgres.log.read_bytes()) for size, postgres in servers.items()}
        before = {size: _spent(postgres) for size, postgres in servers.items()}
        _scrape(ports, SECONDS)
        costs = {
            size.name: _costs(postgres, before[size], logged[size], ports[size]) for size, postgres in servers.items()
        }
    figures = [figure for name, found in costs.items() for figure in _figures(name, found)]
    details = {name: {role: cost._asdict() for role, cost in found.items()} for name, found in costs.items()}
    return Outcome("load", figures, {"method": __doc__, "seconds": SECONDS, "costs": details})


def _watch(stack: ExitStack, size: Size, postgres: Postgres) -> dict[str, int]:
    """Start the four exporters of a server; return where each is scraped."""
    flags = ("--auto-discover-databases",) if size.databases > 1 else ()
    ports = {}
    for role in ROLES:
        with_file = role.endswith("_yaml")
        if role.startswith("ours"):
            name = f"{role} {size.tables}".replace(" ", "-")  # by which each polls at a time of its own
            target = {"name": name, "store": "postgres", "url": dsn(postgres, role)}
            settings = {"queries": [str(QUERIES_YAML)]} if with_file else {}
            ports[role] = stack.enter_context(Exporter([target], interval=f"{INTERVAL:g}s", **settings)).port
        else:
            peer = PostgresExporter(dsn(postgres, role, "app"), QUERIES_YAML if with_file else None, *flags)
            ports[role] = stack.enter_context(peer).port
    return ports


def _scrape(ports: dict[Size, dict[str, int]], seconds: float) -> None:
    """Scrape all of them every 15 s, one after another."""
    until = time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        for port in [port for found in ports.values() for port in found.values()]:
            with Client(port, timeout=60) as client:
                client.get("/metrics", gzip=True)
        time.sleep(max(0.0, min(until, began + INTERVAL) - time.monotonic()))


def _spent(postgres: Postgres) -> dict[str, tuple[float, float]]:
    return {role: (float(calls), float(spent)) for role, calls, spent in postgres.psql(_SPENT)}


def _costs(
    postgres: Postgres, before: dict[str, tuple[float, float]], logged: int, ports: dict[str, int]
) -> dict[str, Cost]:
    after, held = _spent(postgres), {role: int(count) for role, count in postgres.psql(_HELD)}
    log = postgres.log.read_bytes()[logged:].decode(errors="replace")
    cycles = SECONDS / INTERVAL
    return {
        role: Cost(
            statements=(after[role][0] - before[role][0]) / cycles,
            server_ms=(after[role][1] - before[role][1]) / cycles,
            logins=len(re.findall(rf"^{role} .*LOG:  connection authorized:", log, re.MULTILINE)) / cycles,
            held=held.get(role, 0),
            series=series(page(ports[role])),
        )
        for role in ROLES
    }


def _figures(size: str, costs: dict[str, Cost]) -> list[Figure]:
    figures = []
    for ours, peer, files in (("ours", "peer", "default"), ("ours_yaml", "peer_yaml", "queries.yaml")):
        a, b = costs[ours], costs[peer]
        where = f"{size}, {files}"
        a_each, b_each = (1000 * cost.server_ms / cost.series for cost in (a, b))
        figures += [
            Figure(f"series, {where}", "series", a.series, b.series),
            Figure(f"statements, {where}", "statements", a.statements, b.statements),
            Figure(f"server time, {where}", "ms", a.server_ms, b.server_ms),
            Figure(f"server time a thousand series, {where}", "ms", a_each, b_each, times_less=1),
            Figure(f"logins, {where}", "connections", a.logins, b.logins),
            Figure(f"connections held, {where}", "connections", a.held, b.held),
        ]
    return figures


if __name__ == "__main__":
    run(measure)
