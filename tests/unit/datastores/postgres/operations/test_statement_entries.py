"""The entries of pg_stat_statements, read once in a pass."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from exporter.config.stores.postgres import PostgresTarget
from exporter.datastores.postgres.connection import LaneConnection
from exporter.datastores.postgres.connector import Connector
from exporter.datastores.postgres.datastore import PostgresSession
from exporter.datastores.postgres.extensions import Extension
from exporter.datastores.postgres.operations.slow_statements import SLOW_STATEMENTS
from exporter.datastores.postgres.operations.statement_entries import ENTRIES
from exporter.datastores.postgres.operations.statements import STATEMENTS
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Row
from tests.support.collect import target_of


class HangingConnection(LaneConnection):
    """Answers no statement, and remembers all."""

    def __init__(self, target: PostgresTarget) -> None:
        super().__init__(Connector(target))
        self.statements: list[str] = []

    async def rows(
        self, sql: str, *_arguments: object, seconds: float = 5.0, database: str | None = None
    ) -> Sequence[Row]:
        self.statements.append(sql)
        await asyncio.sleep(seconds)
        return [{"database": database}]

    async def extensions(self, _database: str | None = None, *, fresh: bool = False) -> Mapping[str, Extension]:
        return {"pg_stat_statements": Extension(f"1.{10 + fresh}", "public", usable=True, functions=[ENTRIES])}


async def test_a_view_that_hangs_is_read_once_in_a_pass() -> None:
    """Two operations need it; the second fails at once, without a deadline of its own."""
    target = target_of({"name": "db", "store": "postgres", "url": "postgresql://monitor@db1/postgres"})
    assert isinstance(target, PostgresTarget)
    connection = HangingConnection(target)
    session = PostgresSession(target, connection, ServerInfo(version="17.2"), {}, moves=0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await STATEMENTS.run(session, STATEMENTS.params(), STATEMENTS.state())
    with pytest.raises(TimeoutError, match="pg_stat_statements was not answered in this pass"):
        await SLOW_STATEMENTS.run(session, SLOW_STATEMENTS.params(), SLOW_STATEMENTS.state())

    assert len(connection.statements) == 1
