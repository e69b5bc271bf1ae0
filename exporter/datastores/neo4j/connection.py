"""The one place that knows the driver: how it is made, how a statement runs, what its errors mean."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

from neo4j import AsyncDriver, AsyncGraphDatabase, Query, basic_auth
from neo4j.auth_management import AsyncAuthManager
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)

from exporter import __version__
from exporter.config.stores.neo4j import Neo4jTarget
from exporter.datastores.metering import METER, Meter
from exporter.datastores.neo4j.session import APP, MARKER, NO_PARAMETERS
from exporter.datastores.refcount import RefCounted
from exporter.errors import QueryError, Reason
from exporter.queries.query import Row

_CLOSE_SECONDS = 1.0
_MAX_BYTES = 512 << 10  # of an answer: the driver may make 250 times as much of it, and hold the loop for a second
_MAX_ROWS = 10_000  # a runaway query of a user must not fill our memory

# Codes are matched by their start, from the special to the general; messages differ between versions.
_REASONS: tuple[tuple[str, Reason], ...] = (
    ("Neo.ClientError.Security.Forbidden", "privilege"),
    ("Neo.ClientError.Security.", "auth"),
    ("Neo.ClientError.Procedure.ProcedureNotFound", "unsupported"),
    ("Neo.ClientError.Statement.UnsupportedAdministrationCommand", "unsupported"),
    ("Neo.ClientError.Transaction.TransactionTimedOut", "timeout"),
    ("Neo.TransientError.Database.", "connect"),
    ("Neo.TransientError.General.DatabaseUnavailable", "connect"),
    ("Neo.ClientError.", "query"),
    ("Neo.", "query"),
)


class Connection:
    """One driver; each statement is a read-only transaction of its own, without retries.

    The driver's own limits only tidy up: on a frozen server it may wait for minutes, so callers set a deadline.
    """

    def __init__(self, target: Neo4jTarget, tls: ssl.SSLContext | None) -> None:
        # It logs notifications and lost connections, addresses and all; what matters reaches the caller anyway.
        logging.getLogger("neo4j").setLevel(logging.CRITICAL)
        self._driver: AsyncDriver = AsyncGraphDatabase.driver(
            place(target),
            ssl_context=tls,
            auth=_PresentLogin(target),
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
        statement = Query(cast("Any", MARKER + text), metadata={"app": APP}, timeout=seconds)
        self._meter.start()
        METER.set(self._meter)  # of this task: the driver opens its connections in it
        try:
            async with self._shared, self._driver.session(database=database, default_access_mode="READ") as session:
                result = await session.run(statement, dict(parameters))
                records = await result.fetch(_MAX_ROWS + 1)
        except (ServiceUnavailable, SessionExpired) as error:
            if self._meter.exceeded:
                raise QueryError("limit", f"the answer is longer than {_MAX_BYTES >> 10} KiB") from error
            if why := _insecure(error):  # of which the driver's own message says nothing
                raise QueryError("connect", f"TLS with the server failed: {why}") from error
            raise
        if len(records) > _MAX_ROWS:
            raise QueryError("limit", f"more than {_MAX_ROWS} rows")
        return [dict(record) for record in records]

    async def close(self) -> None:
        await self._shared.close_when_idle()

    async def _close_driver(self) -> None:
        with suppress(TimeoutError):  # a frozen server does not take the farewell
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._driver.close()


class _PresentLogin(AsyncAuthManager):
    """Give the driver the secret as it is now: it logs in anew when the answer has changed."""

    def __init__(self, target: Neo4jTarget) -> None:
        self._target = target

    async def get_auth(self) -> Any:
        password = self._target.secret("password")
        return None if password is None else basic_auth(self._target.user, password)

    async def handle_security_exception(self, auth: Any, error: Neo4jError) -> bool:  # noqa: ARG002 - the driver's
        return False


def place(target: Neo4jTarget) -> str:
    """Return the URL without a word of TLS: the driver takes no context beside that."""
    parts = urlsplit(target.url.get_secret_value())
    scheme = parts.scheme.partition("+")[0]
    return parts._replace(scheme=scheme).geturl()


def reason_of(error: BaseException) -> Reason:
    """Classify what running a statement may raise."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, Neo4jError):
        return _reason_of_code(error)
    if _timed_out(error):
        return "timeout"
    # ValueError is what a URL raises that the driver cannot read.
    if isinstance(error, ServiceUnavailable | SessionExpired | ConfigurationError | OSError | ValueError):
        return "connect"
    return "decode"


def is_refusal(error: Neo4jError) -> bool:
    """Tell whether the server understood who we are and would not run the statement in that database."""
    return reason_of(error) in ("query", "unsupported", "privilege") and (error.code or "").startswith(
        "Neo.ClientError."
    )


def _reason_of_code(error: Neo4jError) -> Reason:
    if isinstance(error, AuthError):
        return "auth"
    code = error.code or ""
    return next((reason for start, reason in _REASONS if code.startswith(start)), "query")


def _timed_out(error: BaseException | None) -> bool:
    """Tell whether waiting in vain is behind the driver's error: it wraps a silent server as unavailable."""
    while error is not None:
        if isinstance(error, TimeoutError | ConnectionAcquisitionTimeoutError):
            return True
        error = error.__cause__
    return False


def _insecure(error: BaseException | None) -> str | None:
    """Say why there was no TLS, where that is behind the driver's error."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return str(error)
        error = error.__cause__
    return None
