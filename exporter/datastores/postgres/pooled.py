"""A server behind PgBouncer: each statement runs in a transaction, which brings its settings along.

PgBouncer refuses a login with settings, and with transaction pooling gives each transaction any of its connections:
whoever gets this one next must find nothing of ours.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from exporter.datastores.postgres.door import recognised


@asynccontextmanager
async def transaction(connection: Any, settings: Mapping[str, str], check: str) -> AsyncIterator[None]:
    """Run statements under settings of their own, read-only; commit, for a rollback would be counted as one.

    check: Door.recognise().
    """
    limits = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())
    await recognised(connection, f"BEGIN READ ONLY; {limits}; {check}")
    try:
        yield
    except asyncpg.PostgresError:
        await connection.execute("ROLLBACK")
        raise
    except BaseException:  # nobody knows how far it came
        connection.terminate()
        raise
    await connection.execute("COMMIT")
