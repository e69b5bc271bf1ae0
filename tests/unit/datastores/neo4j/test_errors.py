"""Reasons of the server's codes and of the driver's errors."""

import ssl

import pytest
from neo4j.exceptions import Neo4jError, ServiceUnavailable

from exporter.datastores.neo4j.errors import is_refusal, reason_of, tls_failure
from exporter.errors import QueryError


def error(code: str) -> Neo4jError:
    return Neo4jError._hydrate_neo4j(code=code, message="said the server")  # noqa: SLF001 - as the driver makes them


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("Neo.ClientError.Security.Unauthorized", "auth"),
        ("Neo.ClientError.Security.AuthenticationRateLimit", "auth"),
        ("Neo.ClientError.Security.CredentialsExpired", "auth"),
        ("Neo.ClientError.Security.Forbidden", "privilege"),
        ("Neo.ClientError.Procedure.ProcedureNotFound", "unsupported"),
        ("Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration", "timeout"),
        ("Neo.TransientError.Database.DatabaseUnavailable", "connect"),
        ("Neo.ClientError.Statement.SyntaxError", "query"),
        ("Neo.DatabaseError.General.UnknownError", "query"),
    ],
)
def test_servers_codes_have_reasons(code: str, reason: str) -> None:
    """An error of the server is classified by its code, never by its message."""
    assert reason_of(error(code)) == reason


def test_drivers_errors_have_reasons() -> None:
    """A server that cannot be reached and one that is silent are two reasons."""
    silent = ServiceUnavailable("no handshake")
    silent.__cause__ = TimeoutError()

    assert reason_of(ServiceUnavailable("refused")) == "connect"
    assert reason_of(silent) == "timeout"
    assert reason_of(TimeoutError()) == "timeout"
    assert reason_of(ConnectionResetError()) == "connect"
    assert reason_of(KeyError("column")) == "decode"
    assert reason_of(QueryError("limit", "too many")) == "limit"


def test_statement_that_another_database_may_run_is_refused() -> None:
    """A wrong login and a database that is down are errors in every database."""
    assert is_refusal(error("Neo.ClientError.Statement.UnsupportedAdministrationCommand"))
    assert not is_refusal(error("Neo.ClientError.Security.Unauthorized"))
    assert not is_refusal(error("Neo.DatabaseError.General.UnknownError"))


def test_tls_failure_is_found_behind_the_drivers_error() -> None:
    """The driver's own message does not contain it."""
    refused = ServiceUnavailable("no connection")
    refused.__cause__ = ssl.SSLError("bad certificate")

    assert "bad certificate" in str(tls_failure(refused))
    assert tls_failure(ServiceUnavailable("refused")) is None
