"""Classify errors of the console."""

from exporter.datastores.pgwire.errors import ServerError, reason_for
from exporter.errors import QueryError, Reason


def reason_of(error: BaseException) -> Reason:
    """Classify an error of the console, of the network under it, or of our own."""
    if isinstance(error, QueryError):
        return error.reason
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError | ServerError):
        return reason_for(str(error))
    return "decode"
