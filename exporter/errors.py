"""Errors that stop a start, and errors that become results: what users are told, in typed reasons."""

from typing import Literal

from exporter.logs import visible

Reason = Literal["connect", "auth", "timeout", "privilege", "unsupported", "query", "decode", "limit"]


class QueryError(Exception):
    """Say why a query has no samples: a typed reason for users, a message for the log, the series it cost."""

    def __init__(self, reason: Reason, message: str, dropped: int = 0) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.dropped = dropped

    @property
    def shown(self) -> str:
        """Return what may be shown of it: what repeats a driver's error is for the log alone."""
        return self.reason if self.__cause__ else str(self)


class NoSessionError(QueryError):
    """Say that nobody was let in to ask: into one database, if it is named, or into none at all."""

    def __init__(self, reason: Reason, message: str, database: str | None = None) -> None:
        super().__init__(reason, message)
        self.database = database


_MOST_PROBLEMS = 100
_LONGEST_PROBLEM = 5_000  # characters


class ConfigError(Exception):
    """Stop start-up: each problem is one readable line."""

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - _MOST_PROBLEMS
        told = [*problems[:_MOST_PROBLEMS], f"and {more} more problems"] if more > 0 else problems
        self.problems = [visible(problem[:_LONGEST_PROBLEM]) for problem in told]
        super().__init__("\n".join(self.problems))


_NO_THREAD = "can't start new thread"


def no_thread(error: BaseException) -> bool:
    """Tell whether the system refused a thread: it gives no error number, but words."""
    return isinstance(error, RuntimeError) and _NO_THREAD in str(error)
