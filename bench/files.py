"""What each built-in PostgreSQL query file costs the server, at 500 and at 4,000 tables.

Each is asked once to warm up and five times more, in the database with the tables, as the poller does it; what the
server spent on planning and executing for our role comes from pg_stat_statements, and the median counts. A cycle's cost
is the sum of the files' costs, each times 15 s by its interval, with the ping in the fast lane. What needs a setting
(expectations, the sampler, Patroni) is not asked.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

import asyncpg

from bench.results import Figure, Outcome, run
from bench.sizes import SIZES, Size, dsn, server
from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores.base import LANES
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.polling.execution import QueryRun
from exporter.polling.execution import execute_query as ask
from exporter.polling.schedule import interval, lane
from exporter.queries.query import Query
from exporter.settings import read_queries
from exporter.state.events import MonitoredTarget

RUNS = 5
CYCLE = 15.0
COSTLY = 1.0  # milliseconds at the larger size; the figures of cheaper files are in the results alone
PING = Query(name="ping", store="postgres", query="")
GOALS = {"500 tables": (20.0, 14.0)}  # of the fast lane: statements and milliseconds a cycle
_WATCHED = MonitoredTarget(name="bench", store="postgres", interval=CYCLE)
_SPENT = """
SELECT sum(calls)::float8 AS statements, sum(total_plan_time + total_exec_time) AS milliseconds
FROM pg_stat_statements WHERE userid = 'ours'::regrole
"""


class Cost(NamedTuple):
    """What asking once costs: statements and milliseconds of the server, and milliseconds until there are samples."""

    statements: float
    server_ms: float
    total_ms: float
    series: int = 0
    error: str = ""


def measure() -> Outcome:
    queries = [PING, *(query for query in read_queries(["postgres"]) if not query.when.configured)]
    sizes = SIZES[:2]
    costs = {size.name: asyncio.run(_costs(size, queries)) for size in sizes}
    figures = [figure for size in sizes for name in LANES for figure in _cycle(size.name, name, queries, costs)]
    largest = costs[sizes[-1].name]
    costly = [query for query in queries if largest[query.name].server_ms >= COSTLY]
    for query in sorted(costly, key=lambda query: -largest[query.name].server_ms):
        for size in sizes:
            name = f"{query.name}, every {interval(query, _WATCHED):g} s, {size.name}"
            figures.append(Figure(name, "ms", costs[size.name][query.name].server_ms))
    details = {size: {name: cost._asdict() for name, cost in found.items()} for size, found in costs.items()}
    return Outcome("files", figures, {"method": __doc__, "costs": details})


def _cycle(
    size: str, name: str, queries: list[Query], costs: Mapping[str, Mapping[str, Cost]]
) -> tuple[Figure, Figure]:
    shares = {query.name: CYCLE / interval(query, _WATCHED) for query in queries if lane(query) == name}
    statements = sum(share * costs[size][query].statements for query, share in shares.items())
    milliseconds = sum(share * costs[size][query].server_ms for query, share in shares.items())
    most, longest = GOALS.get(size, (None, None)) if name == "fast" else (None, None)
    return (
        Figure(f"{name} lane's statements a cycle, {size}", "statements", statements, at_most=most),
        Figure(f"{name} lane's server time a cycle, {size}", "ms", milliseconds, at_most=longest),
    )


async def _costs(size: Size, queries: list[Query]) -> dict[str, Cost]:
    settings = {"name": "bench", "store": "postgres"}
    with server(size, "ours") as postgres:
        target = PostgresTarget.model_validate({**settings, "url": dsn(postgres, "ours")})
        observer = await asyncpg.connect(postgres.dsn())
        try:
            async with PostgresDatastore(target) as datastore:
                info = await datastore.ping()

                async def once(query: Query) -> Any:
                    if query is PING:
                        return await datastore.ping()
                    database = "app" if query.scope == "database" else None
                    async with datastore.session("fast") as session:
                        query_run = QueryRun(_WATCHED, query, database, info, query.timeout)
                        return await ask(query_run, session, datastore)

                return {query.name: await _measured(observer, query, once) for query in queries}
        finally:
            await observer.close()


async def _measured(observer: Any, query: Query, once: Callable[[Query], Awaitable[Any]]) -> Cost:
    result = await once(query)
    costs = []
    for _ in range(RUNS):
        before, began = await observer.fetchrow(_SPENT), time.perf_counter()
        result = await once(query)
        took, after = time.perf_counter() - began, await observer.fetchrow(_SPENT)
        costs.append((after[0] - before[0], after[1] - before[1], 1000 * took))
    statements, server_ms, total_ms = (median(column) for column in zip(*costs, strict=True))
    if query is PING:
        return Cost(statements, server_ms, total_ms)
    series = sum(family.series for family in result.families)
    return Cost(statements, server_ms, total_ms, series, str(result.error or ""))


if __name__ == "__main__":
    run(measure)
