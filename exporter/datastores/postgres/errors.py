"""Why a query or a login failed, in the product's words."""

from collections.abc import Mapping

import asyncpg

from exporter.datastores.pgwire.errors import reason_for
from exporter.errors import QueryError, Reason

_STATES: Mapping[str, Reason] = {
    "0A000": "unsupported",  # feature not supported: functions that managed servers removed
    "22021": "decode",  # bytes that the encoding of the database does not have
    "22P05": "decode",  # a character that the other encoding does not have
    "3D000": "connect",  # no such database
    "42501": "privilege",
    "53300": "limit",  # too many connections
    "55000": "unsupported",  # not in prerequisite state: library not preloaded, WAL function of the other role
    "55P03": "timeout",  # lock_timeout
    "57014": "timeout",  # statement_timeout
    "57P01": "connect",  # shutting down
    "57P02": "connect",  # crashed
    "57P03": "connect",  # starting up
}
_CLASSES: Mapping[str, Reason] = {"08": "connect", "28": "auth"}


def reason_of(error: BaseException) -> Reason:
    """Classify an error of asyncpg, of the network under it, or of our own."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if isinstance(error, asyncpg.ProtocolViolationError):  # of a PgBouncer on the way
            return reason_for(str(error))
        return _STATES.get(state) or _CLASSES.get(state[:2], "query")
    if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):  # the last: cut mid-answer
        return "connect"
    return "decode"
