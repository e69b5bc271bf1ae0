"""The operations of query files for PgBouncer: what SHOW tells becomes rows; nothing here knows the driver."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from exporter.datastores.accumulators import WindowMaxima
from exporter.datastores.pgbouncer import rows
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_LOOK_SECONDS = 5.0
_LISTS = (
    "databases", "users", "pools", "free_clients", "used_clients", "login_clients", "free_servers", "used_servers",
    "dns_names", "dns_zones", "dns_queries",
)  # fmt: skip

Maxima = WindowMaxima[tuple[str, str]]


class Session(Protocol):
    async def show(self, what: str) -> Sequence[Row]:
        """Return what the console shows, asked once in a pass."""


def _of(what: str, make: Callable[[Sequence[Row]], Sequence[Row]]) -> Operation:
    async def operation(session: Session, _params: Params, _state: None) -> Sequence[Row]:
        return make(await session.show(what))

    return Operation(operation)


def _of_two(one: str, two: str, make: Callable[[Sequence[Row], Sequence[Row]], Sequence[Row]]) -> Operation:
    async def operation(session: Session, _params: Params, _state: None) -> Sequence[Row]:
        return make(await session.show(one), await session.show(two))

    return Operation(operation)


async def _look(session: Session, _params: Params, maxima: Maxima) -> None:
    maxima.add(rows.waiting(await session.show("POOLS")), time.monotonic())


async def _waited(_session: Session, _params: Params, maxima: Maxima) -> Sequence[Row]:
    return rows.waited_rows(maxima.maxima(time.monotonic()))


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "clients": _of_two("LISTS", "CONFIG", lambda lists, config: [rows.client_row(lists, config)]),
        "config": _of("CONFIG", lambda config: [rows.config_row(config)]),
        "databases": _of("DATABASES", rows.database_rows),
        "lists": _of("LISTS", lambda lists: [rows.list_row(lists, _LISTS)]),
        "pools": _of_two("POOLS", "DATABASES", rows.pool_rows),
        "stats": _of("STATS", rows.stats_rows),
        "waited": Operation(_waited, state=Maxima, step=_look, every=_LOOK_SECONDS),
        "worst_pool": _of_two("POOLS", "DATABASES", lambda pools, databases: [rows.worst_pool_row(pools, databases)]),
    }
)
