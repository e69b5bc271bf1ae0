"""What changes rarely about a server: read seldom, and at once where there is a sign that it has changed."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

FACTS_SECONDS = 600.0

_Facts = TypeVar("_Facts")


class CachedFacts(Generic[_Facts]):
    """Hold the facts of one server; read them again when they expire, after a failure, and with another key.

    known: what was read last, None before the first read. It stays while it is due to be read again, for the lanes that
    go on meanwhile.
    valid: False before the first read, after a failure and after `invalidate`.
    """

    def __init__(self) -> None:
        self.known: _Facts | None = None
        self.valid = False
        self._key: object = None
        self._expires_at = 0.0

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self._expires_at

    def is_due(self, key: object = None) -> bool:
        """Return whether `get` would read."""
        return not self.valid or key != self._key or self.expired

    async def get(self, read: Callable[[], Awaitable[_Facts]], key: object = None) -> _Facts:
        """Return the facts; read them first where they are due.

        key: compared with the last one; made of what differs when the facts may have changed, such as the number of the
        connection, the start of the server, the login.
        """
        if not self.is_due(key):
            return self.known  # type: ignore[return-value]  # valid: it was read
        self.valid, self._key = True, key  # before the read: an `invalidate` meanwhile must count
        with self.invalid_after_failure():
            return self.keep(await read())

    def keep(self, facts: _Facts, seconds: float = FACTS_SECONDS) -> _Facts:
        """Hold facts that were read, for so many seconds."""
        self.known, self._expires_at = facts, time.monotonic() + seconds
        return facts

    def invalidate(self) -> None:
        """Make the next `get` read."""
        self.valid = False

    @contextmanager
    def invalid_after_failure(self) -> Iterator[None]:
        """Invalidate the facts where the block fails: another server may answer next."""
        try:
            yield
        except BaseException:
            self.invalidate()
            raise
