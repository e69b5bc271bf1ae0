"""What a session with PgBouncer's console does without a server."""

import asyncio

import pytest

from exporter.config.stores.pgbouncer import PgbouncerTarget
from exporter.datastores.pgbouncer.connection import Console
from exporter.datastores.pgbouncer.datastore import PgbouncerSession
from exporter.datastores.pgbouncer.operations import OPERATIONS
from exporter.queries.operation import Params
from exporter.queries.query import Row
from tests.support.collect import target_of


class HangingConsole(Console):
    """Answers no command, and remembers all."""

    def __init__(self) -> None:
        target = target_of({"name": "db", "store": "pgbouncer", "url": "postgresql://stats@db1/pgbouncer"})
        assert isinstance(target, PgbouncerTarget)
        super().__init__(target, None)
        self.commands: list[str] = []

    async def rows(self, command: str) -> list[Row]:
        self.commands.append(command)
        await asyncio.sleep(5)
        return []


async def test_a_page_that_hangs_is_read_once_in_a_pass() -> None:
    """Two operations need POOLS; the second fails at once, without a deadline of its own."""
    console = HangingConsole()
    session = PgbouncerSession(console, {}, "fast")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await OPERATIONS["pools"].run(session, Params(), None)
    with pytest.raises(TimeoutError, match="POOLS was not answered in this pass"):
        await OPERATIONS["worst_pool"].run(session, Params(), None)

    assert console.commands == ["SHOW POOLS"]
