"""What PgBouncer means by its errors: until 1.19 they all had one code, and libpq keeps that of a login to itself."""

from collections.abc import Mapping
from types import MappingProxyType

from exporter.query import Reason

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


def meaning(message: str) -> Reason:
    """Return the reason; what is not known is that the pooler, or the server behind it, cannot be reached."""
    return next((reason for words, reason in _MEANINGS.items() if words in message), "connect")


def unknown_database(message: str) -> bool:
    return "no such database" in message
