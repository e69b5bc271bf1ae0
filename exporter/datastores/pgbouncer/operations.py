"""The operations of query files for PgBouncer, which make rows of what SHOW returns; loads no client."""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exporter.datastores.accumulators import WindowMaxima
from exporter.datastores.pgbouncer import rows
from exporter.queries.operation import Operation, PageSession, Params
from exporter.queries.query import Row

_LOOK_SECONDS = 5.0

Maxima = WindowMaxima[tuple[str, str]]


async def _look(session: PageSession, _params: Params, maxima: Maxima) -> None:
    maxima.add(rows.waiting(await session.read("POOLS")), time.monotonic())


async def _waited(_session: PageSession, _params: Params, maxima: Maxima) -> Sequence[Row]:
    return rows.waited_rows(maxima.maxima(time.monotonic()))


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "clients": Operation(rows.client_rows, reads=("LISTS", "CONFIG")),
        "config": Operation(rows.config_rows, reads=("CONFIG",)),
        "databases": Operation(rows.database_rows, reads=("DATABASES",)),
        "lists": Operation(rows.list_rows, reads=("LISTS",)),
        "pools": Operation(rows.pool_rows, reads=("POOLS", "DATABASES")),
        "stats": Operation(rows.stats_rows, reads=("STATS",)),
        "waited": Operation(_waited, state=Maxima, step=_look, every=_LOOK_SECONDS),
        "worst_pool": Operation(rows.worst_pool_rows, reads=("POOLS", "DATABASES")),
    }
)
