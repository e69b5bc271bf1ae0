"""The failure boundary: one query, run within its deadline; whatever goes wrong is a result."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from exporter.config.stores import DATABASE_LABELS
from exporter.datastores.base import Datastore, Lane, Session
from exporter.errors import QueryError, Reason
from exporter.polling.schedule import interval
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import DURATION, CheckOutcome
from exporter.queries.query import Query, measured, unsupported
from exporter.state.events import MonitoredTarget, Result, fresh_seconds
from exporter.state.local_fault import local_fault

_T = TypeVar("_T")

PING_SECONDS = 5.0
_CLOSE_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class QueryRun:
    """One query to be asked once, of a server known by its last ping, within so many seconds."""

    target: MonitoredTarget
    query: Query
    database: str | None
    info: ServerInfo
    seconds: float


async def within_deadline(
    work: Callable[[], Awaitable[_T]], seconds: float, reason: Callable[[BaseException], Reason]
) -> _T:
    """Await work within a deadline; raise QueryError, and nothing else, for whatever goes wrong.

    This is the only blanket except of the product, and the deadline of every ping and query; a store's own shorter
    ones, for a farewell or a page that may hang, lie within it.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work()
    except QueryError as error:
        _forget_frames(error)
        raise
    except TimeoutError as error:
        _forget_frames(error)
        raise QueryError("timeout", f"no answer within {seconds:.1f} s") from None
    except Exception as error:
        why = "connect" if local_fault(error) == "resources" else reason(error)
        _forget_frames(error)
        raise QueryError(why, f"{type(error).__name__}: {error}") from error


def _forget_frames(error: BaseException | None) -> None:
    """Let go of what an error's frames hold, a page of megabytes perhaps: the snapshot keeps the error."""
    behind: list[BaseException | None] = [error]
    while behind:
        one = behind.pop()
        if one is not None and one.__traceback__ is not None:
            one.__traceback__ = None
            behind += [one.__cause__, one.__context__]


async def execute_query(run: QueryRun, session: Session, datastore: Datastore) -> Result:
    """Run a query; a failure is a result, too."""
    target, query, database = run.target, run.query, run.database
    began = time.perf_counter()

    async def ask() -> dict[str, Any]:
        if error := unsupported(query, run.info):
            raise error
        rows = await session.fetch(_within(query, run.seconds), database)
        extra = () if database is None else ((DATABASE_LABELS[query.store], database),)
        families = measured(query.samples(rows, extra), run.info)
        outcome = query.outcome(rows, families, time.perf_counter() - began)
        return {"rows": len(rows), "families": families, "outcome": outcome, "findings": query.named(rows)}

    def result(**fields: Any) -> Result:
        duration = time.perf_counter() - began
        fresh_until = time.monotonic() + fresh_seconds(interval(query, target))
        return Result(target.name, query, database, time.time(), fresh_until, duration, **fields)

    try:
        return result(**await within_deadline(ask, run.seconds, datastore.reason))
    except QueryError as error:
        return result(error=error, outcome=failed_canary(query, error))


def failed_canary(query: Query, error: QueryError) -> CheckOutcome | None:
    """Judge a query whose time has a limit and that did not even end well; None for all others."""
    canary = query.health is not None and query.health.metric == DURATION and error.reason != "unsupported"
    return CheckOutcome(query.health, "fail", None) if query.health and canary else None


def _within(query: Query, seconds: float) -> Query:
    """Tell the server, too, that less time is left than the query may take: a deadline of ours costs the connection."""
    return query if seconds >= query.timeout else query.model_copy(update={"timeout": seconds})


def failure(target: MonitoredTarget, query: Query, error: QueryError, database: str | None = None) -> Result:
    """Make the result of a query that could not even be asked."""
    fresh_until = time.monotonic() + fresh_seconds(interval(query, target))
    return Result(target.name, query, database, time.time(), fresh_until, 0.0, error=error)


@asynccontextmanager
async def open_session(datastore: Datastore, lane: Lane, seconds: float = PING_SECONDS) -> AsyncIterator[Session]:
    """Open a session within a deadline; raise QueryError where that fails. How it closes is nobody's trouble."""
    manager = datastore.session(lane)
    session = await within_deadline(manager.__aenter__, seconds, datastore.reason)
    try:
        yield session
    finally:
        with suppress(QueryError):
            await within_deadline(lambda: manager.__aexit__(None, None, None), _CLOSE_TIMEOUT, datastore.reason)
