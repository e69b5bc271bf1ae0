"""Why a statement failed: reasons of the server's codes and of the driver's errors."""

import ssl
from collections.abc import Iterator

from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)

from exporter.errors import QueryError, Reason

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


def reason_of(error: BaseException) -> Reason:
    """Classify what running a statement may raise."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, Neo4jError):
        return _reason_of_code(error)
    # The driver wraps the timeout of a server that does not respond as unavailable.
    if any(isinstance(cause, TimeoutError | ConnectionAcquisitionTimeoutError) for cause in _causes(error)):
        return "timeout"
    # ValueError is what a URL raises that the driver cannot read.
    if isinstance(error, ServiceUnavailable | SessionExpired | ConfigurationError | OSError | ValueError):
        return "connect"
    return "decode"


def is_refusal(error: Neo4jError) -> bool:
    """Return whether the server authenticated us and rejected the statement in that database."""
    refused = reason_of(error) in ("query", "unsupported", "privilege")
    return refused and (error.code or "").startswith("Neo.ClientError.")


def tls_failure(error: BaseException) -> str | None:
    """Return why the TLS handshake failed, where that is the cause of the driver's error."""
    return next((str(cause) for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)


def _reason_of_code(error: Neo4jError) -> Reason:
    if isinstance(error, AuthError):
        return "auth"
    code = error.code or ""
    return next((reason for start, reason in _REASONS if code.startswith(start)), "query")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
