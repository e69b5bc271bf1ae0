"""The driver: how it is made, and how a statement runs."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

from neo4j import AsyncDriver, AsyncGraphDatabase, Query, basic_auth
from neo4j.auth_management import AsyncAuthManager
from neo4j.exceptions import Neo4jError, ServiceUnavailable, SessionExpired

from exporter import __version__
from exporter.config.stores.neo4j import Neo4jTarget
from exporter.datastores.metering import METER, Meter
from exporter.datastores.neo4j.errors import tls_failure
from exporter.datastores.neo4j.session import APP, NO_PARAMETERS, QUERY_TAG
from exporter.datastores.refcount import RefCounted
from exporter.errors import QueryError
from exporter.queries.query import Row

_CLOSE_SECONDS = 1.0
_MAX_BYTES = 512 << 10  # of a response: parsed it may take 250 times as much memory, and block the loop for a second
_MAX_ROWS = 10_000  # a runaway query of a user must not fill our memory


class Connection:
    """One driver; each statement is a read-only transaction of its own, without retries.

    The driver may wait for minutes on a frozen server, whatever its own limits are: callers set a deadline.
    """

    def __init__(self, target: Neo4jTarget, tls: ssl.SSLContext | None) -> None:
        # It logs notifications and lost connections with their addresses; errors reach the caller anyway.
        logging.getLogger("neo4j").setLevel(logging.CRITICAL)
        self._driver: AsyncDriver = AsyncGraphDatabase.driver(
            driver_url(target),
            ssl_context=tls,
            auth=_CurrentLogin(target),
            max_connection_pool_size=3,
            connection_timeout=2,
            connection_acquisition_timeout=3,
            liveness_check_timeout=0,  # or a restarted server is a false "down"
            max_connection_lifetime=200,
            keep_alive=True,
            max_transaction_retry_time=0,
            telemetry_disabled=True,
            user_agent=f"{APP}/{__version__}",
            warn_notification_severity="OFF",  # notifications_min_severity breaks every query below Bolt 5.2
        )
        self._meter = Meter(_MAX_BYTES)
        self._shared = RefCounted(self._close_driver)

    async def run(
        self, text: str, database: str | None, seconds: float, parameters: Mapping[str, object] = NO_PARAMETERS
    ) -> list[Row]:
        """Return a statement's rows; database None is the user's home database."""
        # The text is the operator's own, from a query file.
        statement = Query(cast("Any", QUERY_TAG + text), metadata={"app": APP}, timeout=seconds)
        self._meter.start()
        METER.set(self._meter)  # of this task: the driver opens its connections in it
        try:
            async with self._shared, self._driver.session(database=database, default_access_mode="READ") as session:
                result = await session.run(statement, dict(parameters))
                records = await result.fetch(_MAX_ROWS + 1)
        except (ServiceUnavailable, SessionExpired) as error:
            if self._meter.exceeded:
                raise QueryError("limit", f"the answer is longer than {_MAX_BYTES >> 10} KiB") from error
            if why := tls_failure(error):  # which the driver's own message does not contain
                raise QueryError("connect", f"TLS with the server failed: {why}") from error
            raise
        if len(records) > _MAX_ROWS:
            raise QueryError("limit", f"more than {_MAX_ROWS} rows")
        return [dict(record) for record in records]

    async def close(self) -> None:
        await self._shared.close_when_idle()

    async def _close_driver(self) -> None:
        with suppress(TimeoutError):  # a frozen server does not read what the driver sends last
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._driver.close()


class _CurrentLogin(AsyncAuthManager):
    """Give the driver the password as it is now; it logs in again when the password has changed."""

    def __init__(self, target: Neo4jTarget) -> None:
        self._target = target

    async def get_auth(self) -> Any:
        password = self._target.secret("password")
        return None if password is None else basic_auth(self._target.user, password)

    async def handle_security_exception(self, auth: Any, error: Neo4jError) -> bool:  # noqa: ARG002 - the driver's
        return False


def driver_url(target: Neo4jTarget) -> str:
    """Return the URL without TLS in its scheme: beside that the driver rejects a TLS context."""
    parts = urlsplit(target.url.get_secret_value())
    scheme = parts.scheme.partition("+")[0]
    return parts._replace(scheme=scheme).geturl()
