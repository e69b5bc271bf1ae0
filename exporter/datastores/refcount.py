"""A client that several passes use at once, and that one of them may close."""

from collections.abc import Awaitable, Callable
from types import TracebackType


class RefCounted:
    """Count the users of a client, each an `async with`, and close it after the last one.

    A client that is closed while it opens a connection would lose track of that connection, which then stays open.
    """

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close
        self._users = 0
        self._closing = False

    async def close_when_idle(self) -> None:
        """Close the client now, or after its last user."""
        self._closing = True
        await self._close_if_unused()

    async def __aenter__(self) -> None:
        self._users += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._users -= 1
        await self._close_if_unused()

    async def _close_if_unused(self) -> None:
        if self._closing and not self._users:
            await self._close()
