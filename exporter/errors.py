"""ConfigError stops a start; QueryError, with a typed reason, becomes a result."""

from typing import Literal

from exporter.logs import visible

Reason = Literal["connect", "auth", "timeout", "privilege", "unsupported", "query", "decode", "limit"]


class QueryError(Exception):
    """Explain why a query has no samples: a reason for users, a message for the log, the number of dropped series."""

    def __init__(self, reason: Reason, message: str, dropped: int = 0) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.dropped = dropped

    @property
    def shown(self) -> str:
        """Return what clients may see: the message, or the reason alone if the message repeats an error of a driver."""
        return self.reason if self.__cause__ else str(self)


class NoSessionError(QueryError):
    """Explain why no session was possible: in one database, if it is named, or on the whole server."""

    def __init__(self, reason: Reason, message: str, database: str | None = None) -> None:
        super().__init__(reason, message)
        self.database = database


_MAX_PROBLEMS = 100
_MAX_PROBLEM = 5_000  # characters


class ConfigError(Exception):
    """Report what is wrong with the configuration, each problem as one readable line."""

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - _MAX_PROBLEMS
        listed = [*problems[:_MAX_PROBLEMS], f"and {more} more problems"] if more > 0 else problems
        self.problems = [visible(problem[:_MAX_PROBLEM]) for problem in listed]
        super().__init__("\n".join(self.problems))


def no_thread(error: BaseException) -> bool:
    """Return whether the system could start no thread: Python raises this error without a number."""
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def forget_frames(error: BaseException | None) -> None:
    """Drop the frames of an error that is kept, and of its causes: they may hold megabytes."""
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and link.__traceback__ is not None:
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]
