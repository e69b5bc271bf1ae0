"""A transaction that brings its settings along, and leaves nothing of them behind.

For all statements through PgBouncer, which refuses a login with settings, and with transaction pooling gives each
transaction any of its connections: whoever gets this one next must find nothing of ours. And for statements of users.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from exporter.datastores.postgres.connector import recognised


@asynccontextmanager
async def transaction(connection: Any, prologue: str, end: str) -> AsyncIterator[None]:
    """Run statements read-only, after SET LOCAL and a check; end as told, or after an error by a rollback at least."""
    await recognised(connection, f"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE; {prologue}")
    try:
        yield
    except OSError:  # a TimeoutError is one: nobody knows how far it came
        connection.terminate()
        raise
    except Exception:
        if not connection.is_closed():
            await connection.execute("ROLLBACK" if end == "COMMIT" else end)
        raise
    except BaseException:
        connection.terminate()
        raise
    await connection.execute(end)
