"""The failure boundary: run one query within its deadline; every failure becomes a result."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from exporter.config.stores import DATABASE_LABELS
from exporter.datastores.base import Datastore, Lane, Session
from exporter.errors import QueryError, Reason, forget_frames
from exporter.polling.schedule import interval
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import DURATION, CheckOutcome
from exporter.queries.query import Query, measured, unsupported
from exporter.state.events import MonitoredTarget, Result, fresh_seconds
from exporter.state.local_fault import local_fault

_T = TypeVar("_T")

PING_SECONDS = 5.0
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class QueryRun:
    """Describe one run of a query: where it runs, what the last ping returned, and how many seconds it may take."""

    target: MonitoredTarget
    query: Query
    database: str | None
    info: ServerInfo
    seconds: float


async def within_deadline(
    work: Callable[[], Awaitable[_T]], seconds: float, reason: Callable[[BaseException], Reason]
) -> _T:
    """Await work within a deadline; raise QueryError, and nothing else, when anything fails.

    This is the only `except Exception` around store clients, and the deadline of every ping and query. The shorter
    timeouts of a store, such as for closing a connection, lie within it.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work()
    except QueryError as error:
        forget_frames(error)
        raise
    except TimeoutError as error:
        forget_frames(error)
        raise QueryError("timeout", f"no answer within {seconds:.1f} s") from None
    except Exception as error:
        why = "connect" if local_fault(error) == "resources" else reason(error)
        forget_frames(error)
        raise QueryError(why, f"{type(error).__name__}: {error}") from error


async def execute_query(run: QueryRun, session: Session, datastore: Datastore) -> Result:
    """Run a query; return a failure as a result, too."""
    target, query, database = run.target, run.query, run.database
    began = time.perf_counter()

    async def fetch() -> dict[str, Any]:
        if error := unsupported(query, run.info):
            raise error
        rows = await session.fetch(_with_timeout(query, run.seconds), database)
        extra = () if database is None else ((DATABASE_LABELS[query.store], database),)
        families = measured(query.samples(rows, extra), run.info)
        outcomes = query.outcomes(rows, families, time.perf_counter() - began)
        return {"rows": len(rows), "families": families, "outcomes": outcomes, "findings": query.findings_in(rows)}

    def result(**fields: Any) -> Result:
        duration = time.perf_counter() - began
        fresh_until = time.monotonic() + fresh_seconds(interval(query, target))
        return Result(target.name, query, database, time.time(), fresh_until, duration, **fields)

    try:
        return result(**await within_deadline(fetch, run.seconds, datastore.reason))
    except QueryError as error:
        forget_frames(error)  # those of this function, which hold the session
        return result(error=error, outcomes=failed_canary(query, error))


def failed_canary(query: Query, error: QueryError) -> tuple[CheckOutcome, ...]:
    """Fail the check of a canary, a query with a limit on its duration, that ended with an error; of no other."""
    rule = query.health
    if rule is None or rule.check is None or rule.metric != DURATION or error.reason == "unsupported":
        return ()
    return (CheckOutcome(rule.check, rule, "fail", None),)


def _with_timeout(query: Query, seconds: float) -> Query:
    """Shorten the timeout that the server enforces to what is left: a query that we cancel costs its connection."""
    return query if seconds >= query.timeout else query.model_copy(update={"timeout": seconds})


def failed_result(target: MonitoredTarget, query: Query, error: QueryError, database: str | None = None) -> Result:
    """Return the result of a query that could not run."""
    fresh_until = time.monotonic() + fresh_seconds(interval(query, target))
    return Result(target.name, query, database, time.time(), fresh_until, 0.0, error=error)


@asynccontextmanager
async def open_session(datastore: Datastore, lane: Lane, seconds: float = PING_SECONDS) -> AsyncIterator[Session]:
    """Open a session within a deadline; raise QueryError if that fails. Errors while closing are ignored."""
    manager = datastore.session(lane)
    session = await within_deadline(manager.__aenter__, seconds, datastore.reason)
    try:
        yield session
    finally:
        with suppress(QueryError):
            await within_deadline(lambda: manager.__aexit__(None, None, None), CLOSE_SECONDS, datastore.reason)
