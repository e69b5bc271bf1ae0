"""Databases that refuse logins: each is tried again after a growing pause, and reported with the cause."""

import time
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

import asyncpg

from exporter.datastores.pgwire.errors import reason_for

_FIRST_PAUSE = 30.0
_LONGEST_PAUSE = 300.0

_WHY: Mapping[str, str] = MappingProxyType(
    {
        "28000": "pg_hba.conf does not let the role in",
        "3D000": "it was dropped",
        "42501": "the role may not connect",
        "53300": "its limit of connections is reached",
        "55000": "it takes no connections",
    }
)
_BROKEN = "the server cannot open it"
_NOT_POOLED = "PgBouncer gets no connection to it"
# These states may be about the database, the role or the server; the function that reports one for a database alone.
_ABOUT_A_DATABASE: Mapping[str, str] = MappingProxyType({"28000": "ClientAuthentication", "53300": "CheckMyDatabase"})


class Refusal(NamedTuple):
    """The cause of a refused login, and the time until the next try."""

    why: str
    until: float
    pause: float


class Refusals:
    """The databases that refused the last login; the pause before the next one doubles each time."""

    def __init__(self) -> None:
        self._known: dict[str, Refusal] = {}

    def note(self, database: str, why: str) -> None:
        before = self._known.get(database)
        pause = min(2 * before.pause, _LONGEST_PAUSE) if before else _FIRST_PAUSE
        self._known[database] = Refusal(why, time.monotonic() + pause, pause)

    def admit(self, database: str | None) -> None:
        """Forget the refusal after a login that succeeded."""
        if database is not None:
            self._known.pop(database, None)

    def retain(self, databases: Collection[str]) -> None:
        """Forget all other databases."""
        self._known = {name: refusal for name, refusal in self._known.items() if name in databases}

    def why(self, database: str) -> str | None:
        """Return why a database refused the last login, None where it did not."""
        refusal = self._known.get(database)
        return refusal.why if refusal else None

    def waits(self, database: str | None) -> bool:
        """Return whether it is too early to try again."""
        return database in self._known and time.monotonic() < self._known[database].until


def refusal_of(error: BaseException, *, via_pgbouncer: bool) -> str | None:
    """Return why a login failed where the database is the cause; None where it is not."""
    if not isinstance(error, asyncpg.PostgresError):
        return None
    state = error.sqlstate or ""
    if via_pgbouncer and isinstance(error, asyncpg.ProtocolViolationError):
        return _NOT_POOLED if reason_for(str(error)) in ("connect", "timeout") else None
    about = _ABOUT_A_DATABASE.get(state)
    if about is not None and error.server_source_function != about:
        return None
    return _WHY.get(state) or (_BROKEN if state[:2] in ("XX", "58") else None)
