"""Statements that run on the watched server alone, and transactions that leave no setting behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


class AnotherServerError(Exception):
    """A login reached another server than the one that is watched."""


async def execute_on_watched(connection: Any, statements: str) -> None:
    """Run statements, Connector.check_server() among them; drop the connection to any other server."""
    try:
        await connection.execute(statements)
    except asyncpg.DivisionByZeroError:
        connection.terminate()
        raise AnotherServerError from None


@asynccontextmanager
async def transaction(connection: Any, prologue: str, end: str) -> AsyncIterator[None]:
    """Run statements read-only, after SET LOCAL and a check; finish with `end`, or after an error with a rollback.

    For all statements through PgBouncer, which refuses a login with settings, and with transaction pooling gives each
    transaction any of its connections: its next client must find nothing of ours. And for statements of users.
    """
    await execute_on_watched(connection, f"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE; {prologue}")
    try:
        yield
    except OSError:  # a TimeoutError is one: it is unknown how far the statement came
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
