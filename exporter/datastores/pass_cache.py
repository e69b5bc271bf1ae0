"""What one pass has read from its server: each page once, whatever number of queries need it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

_Page = TypeVar("_Page")


class PassCache:
    """Hold the pages and the failures of one pass; a session makes one and drops it with itself.

    A failure is held as well: a server that hangs on a page would otherwise cost every query of the pass its whole
    timeout. Where the deadline of the first query ends a read, the later queries get TimeoutError at once.
    """

    def __init__(self) -> None:
        self._reads: dict[str, asyncio.Future[Any]] = {}

    async def get(self, key: str, read: Callable[[], Awaitable[_Page]]) -> _Page:
        """Return what `read` returned for this key in this pass, or raise what it raised; run it if it did not run yet.

        key: the page's name, which the message of a TimeoutError shows. Callers that come while the read runs wait for
        it; one of them that is cancelled does not end it for the others.
        """
        if key in self._reads:
            page: _Page = await asyncio.shield(self._reads[key])
            return page
        reading = self._reads[key] = asyncio.get_running_loop().create_future()
        try:
            page = await read()
        except BaseException as error:
            ended = isinstance(error, asyncio.CancelledError)
            reading.set_exception(TimeoutError(f"{key} was not answered in this pass") if ended else error)
            reading.exception()  # marked as retrieved: there may be no second caller, and asyncio would log it
            raise
        reading.set_result(page)
        return page
