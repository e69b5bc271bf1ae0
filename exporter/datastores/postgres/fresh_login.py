"""One more login, as any client would make it."""

import asyncio
import time

import asyncpg

from exporter.datastores.postgres.connection import LaneConnection
from exporter.datastores.postgres.connector import Connector
from exporter.datastores.postgres.errors import reason_of
from exporter.datastores.postgres.session import LoginOutcome
from exporter.errors import QueryError, Reason


async def log_in(connector: Connector, seconds: float) -> LoginOutcome:
    """Log in, run one statement and close; a refusal is a result, too.

    Raises the error while no server is watched: the login may have been to another one.
    """
    connection = LaneConnection(connector)
    refused: Reason | None = None
    began = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            await connection.rows("SELECT 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, QueryError) as error:  # TimeoutError is an OSError
        if connector.watched is None:
            raise
        refused = reason_of(error)
    took = time.perf_counter() - began
    await connection.close()
    return LoginOutcome(took, refused)
