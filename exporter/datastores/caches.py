"""What is not read again each time: pages within one pass, and facts of a server until they expire or change."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

FACTS_SECONDS = 600.0

_Facts = TypeVar("_Facts")
_Page = TypeVar("_Page")


class PassCache:
    """Hold the pages and the failures of one pass; a session makes one and drops it with itself.

    A failure is held as well: a server that hangs on a page would otherwise cost every query of the pass its whole
    timeout. Where the deadline of the first query ends a read, the later queries get TimeoutError at once.
    """

    def __init__(self) -> None:
        self._reads: dict[str, asyncio.Future[tuple[Any, BaseException | None]]] = {}

    async def get(self, key: str, read: Callable[[], Awaitable[_Page]]) -> _Page:
        """Return what `read` returned for this key in this pass, or raise what it raised; run it if it did not run yet.

        key: the page's name, which the message of a TimeoutError shows. Callers that come while the read runs wait for
        it; one of them that is cancelled does not end it for the others.
        """
        if key in self._reads:
            page: _Page
            page, failure = await asyncio.shield(self._reads[key])
            if failure is not None:
                raise failure
            return page
        reading = self._reads[key] = asyncio.get_running_loop().create_future()
        try:
            page = await read()
        except BaseException as error:
            ended = isinstance(error, asyncio.CancelledError)
            # A result: a future keeps the frames of its exception, which hold the session and all pages of the pass.
            reading.set_result((None, TimeoutError(f"{key} was not answered in this pass") if ended else error))
            raise
        reading.set_result((page, None))
        return page


class CachedFacts(Generic[_Facts]):
    """Hold the facts of one server, which change rarely: read them again after expiry, a failure, with another key.

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
