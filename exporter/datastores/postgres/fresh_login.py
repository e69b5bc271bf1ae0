"""One login more, as any client would make it."""

import asyncio
import time
from typing import NamedTuple

import asyncpg

from exporter.datastores.postgres.connection import LaneConnection
from exporter.datastores.postgres.connector import Connector
from exporter.datastores.postgres.errors import reason_of
from exporter.errors import QueryError, Reason


class Login(NamedTuple):
    """Tell how long it took to be logged in and answered, or why that failed."""

    seconds: float
    refused: Reason | None


async def log_in(connector: Connector, seconds: float) -> Login:
    """Log in, be answered once and leave; a refusal is an answer, too."""
    connection = LaneConnection(connector)
    refused: Reason | None = None
    began = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            await connection.rows("SELECT 1")
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
        QueryError,
    ) as error:  # a TimeoutError is an OSError
        if connector.watched is None:  # it is another server's answer
            raise
        refused = reason_of(error)
    took = time.perf_counter() - began
    await connection.close()
    return Login(took, refused)
