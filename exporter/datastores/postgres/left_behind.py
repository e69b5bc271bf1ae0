"""Sessions that go on after their connection was dropped: a function may catch the cancellation by a timeout.

No setting stops such a function, which may change each. Only the end of its session does, and a role may end its own.
"""

import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from exporter.queries.query import Row

# A process that reuses the number began after the connection was dropped.
_END = """
SELECT pid, pg_terminate_backend(pid) AS ended
FROM pg_stat_activity JOIN unnest($1::int[], $2::float8[]) AS left_behind (process, seconds) ON process = pid
WHERE usename = session_user AND backend_start < clock_timestamp() - make_interval(secs => seconds)
"""

_log = structlog.get_logger("exporter")


class LeftBehind:
    """Remember the processes that served statements of users when their connections were dropped."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._left_at: dict[int, float] = {}

    def note(self, process: int) -> None:
        self._left_at[process] = time.monotonic()

    async def end(self, rows: Callable[..., Awaitable[Sequence[Row]]]) -> None:
        """End them by a statement on another connection."""
        if not self._left_at:
            return
        seconds = [time.monotonic() - left_at for left_at in self._left_at.values()]
        found = await rows(_END, list(self._left_at), seconds)
        self._left_at.clear()
        if found:
            _log.warning(
                "ended sessions of ours that went on after their deadline: a function catches what cancels it",
                target=self._target,
                sessions=len(found),
            )
