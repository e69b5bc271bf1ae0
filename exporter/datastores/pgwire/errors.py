"""Errors of a server or pooler, and their reasons: PgBouncer until 1.19 gave all of its own one code."""

from collections.abc import Mapping
from types import MappingProxyType

from exporter.errors import Reason

_MEANINGS: Mapping[str, Reason] = MappingProxyType(
    {
        "authentication failed": "auth",
        "no such user": "auth",
        "no password supplied": "auth",
        "not allowed": "privilege",
        "admin access needed": "privilege",
        "no more connections allowed": "limit",
        "query_wait_timeout": "timeout",
        "invalid command": "unsupported",
    }
)


def reason_for(message: str) -> Reason:
    """Return the reason; an unknown message means that the pooler or its server cannot be reached."""
    return next((reason for words, reason in _MEANINGS.items() if words in message), "connect")


def unknown_database(message: str) -> bool:
    return "no such database" in message


class ServerError(Exception):
    """An error that the server sent; `code` is the SQLSTATE."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.code = fields.get("C", "")
        self.fatal = fields.get("V", fields.get("S", "")) in ("FATAL", "PANIC")
        super().__init__(fields.get("M", ""))
