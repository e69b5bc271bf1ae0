"""Poll a real PostgreSQL the way the service does, query by query, and wait for what is slow to show."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.queries.query import Query
from testkit.postgres import Postgres
from tests.support.collect import Collected, collect_from, target_of


@asynccontextmanager
async def opened(settings: dict[str, Any]) -> AsyncIterator[PostgresDatastore]:
    target = target_of(settings)
    assert isinstance(target, PostgresTarget)
    async with PostgresDatastore(target) as datastore:
        yield datastore


@asynccontextmanager
async def client(server: Postgres, database: str = "app", **options: Any) -> AsyncIterator[Any]:
    """Connect as the superuser, beside the exporter."""
    connection = await asyncpg.connect(server.dsn(database), **options)
    try:
        yield connection
    finally:
        connection.terminate()


async def poll(datastore: PostgresDatastore, *only: str) -> Collected:
    """Run the named queries once, or all; whatever fails fails the test."""
    collected = await collect_from(datastore, "postgres", only or None)
    assert not collected.failures, collected.failures
    return collected


async def eventually(
    datastore: PostgresDatastore, query: str, condition: Callable[[Collected], object], seconds: float = 20.0
) -> Collected:
    """Poll one query until the condition holds: statistics arrive up to a second after the work they count."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        collected = await poll(datastore, query)
        if condition(collected):
            return collected
        assert asyncio.get_running_loop().time() < deadline, f"{query}: never so in {seconds:.0f} s"
        await asyncio.sleep(0.1)


async def until(server: Postgres, statement: str, database: str = "postgres", seconds: float = 20.0) -> None:
    """Wait until a statement of the superuser returns a row."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not server.psql(statement, database):
        assert asyncio.get_running_loop().time() < deadline, f"{statement}: no row in {seconds:.0f} s"
        await asyncio.sleep(0.05)


def sql(text: str, **options: Any) -> Query:
    """Make a query of a statement that brings a column `value`."""
    metrics = ({"name": "test_value", "type": "gauge", "help": "A value.", "value": "value"},)
    return Query.model_validate({"name": "test", "store": "postgres", "query": text, "metrics": metrics, **options})


async def fetch(datastore: PostgresDatastore, query: Query, database: str | None = None) -> list[dict[str, object]]:
    async with datastore.session("slow") as session:
        return [dict(row) for row in await session.fetch(query, database)]
