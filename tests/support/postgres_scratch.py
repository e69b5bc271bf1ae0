"""A database of one test's own, and an exporter that sees no other."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.settings import read_queries
from testkit.postgres import Postgres
from tests.support.collect import Collected, collect_from
from tests.support.postgres_polls import opened

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Seen:
    """What one query said of the database."""

    collected: Collected
    database: str
    query: str

    def value(self, metric: str, **labels: str) -> float | None:
        return self.collected.value(metric, datname=self.database, **labels)

    @property
    def names(self) -> tuple[str, ...]:
        return self.collected.findings[self.query]


@dataclass(frozen=True)
class Scratch:
    """The database and its exporter; the superuser's SQL goes through psql."""

    server: Postgres
    name: str
    datastore: PostgresDatastore

    def psql(self, sql: str) -> list[tuple[str, ...]]:
        return self.server.psql(sql, self.name)

    async def poll(self, query: str, folder: Path | None = None) -> Seen:
        """Run one query as the role `monitor`; a failure fails the test."""
        collected = await collect_from(self.datastore, "postgres", [query], (folder,) if folder else ())
        assert collected.failures == {}
        return Seen(collected, self.name, query)


@asynccontextmanager
async def scratch(server: Postgres, setup: str = "") -> AsyncIterator[Scratch]:
    name = f"scratch{next(_NUMBERS)}"
    server.psql(f"CREATE DATABASE {name}")
    async with opened(server.target("db", databases={"include": [name]})) as datastore:
        database = Scratch(server, name, datastore)
        database.psql(setup)
        yield database
    server.psql(f"DROP DATABASE {name} WITH (FORCE)")


def database_queries() -> list[str]:
    """Name the built-in queries that are asked in each database."""
    return [query.name for query in read_queries(["postgres"]) if query.scope == "database"]
