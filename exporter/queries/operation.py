"""Operations stand in where a query cannot say it: functions of a store that make rows."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from exporter.errors import QueryError
from exporter.queries.query import Query, Row

_T = TypeVar("_T")


class Params(BaseModel):
    """What a query file sets of an operation; each operation has its own frozen model."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PageSession(Protocol):
    """What an operation with `reads` needs of a store's session."""

    async def read(self, page: str) -> Any:
        """Return a page, which is read from the server once in a pass."""

    async def make_rows(self, make: Callable[..., _T], *arguments: Any) -> _T:
        """Call `make` with pages and parameters; a store with large pages does it off the event loop."""
        return make(*arguments)


@dataclass(frozen=True, slots=True)
class Operation:
    """A function that makes rows where the store has no query for it.

    rows(session, params, state): a coroutine function; session is the store's own Session. state() makes what one query
    of one target and database keeps between polls; its types are those of `accumulators`.

    reads: the names of pages. With it rows is a plain function of these pages, rows(*pages), followed by the params
    where the operation has a model of its own, and by the state where it keeps one.

    step(session, params, state): looks more often than rows are made of what it saw, every so many seconds, in the
    sampler's lane on a connection of its own.
    """

    rows: Callable[..., Any]
    params: type[Params] = Params
    state: Callable[[], object] = lambda: None
    step: Callable[[Any, Any, Any], Awaitable[None]] | None = None
    every: float | None = None
    reads: Sequence[str] = ()

    async def run(self, session: Any, params: BaseModel | None, state: object) -> Sequence[Row]:
        """Make the rows."""
        if not self.reads:
            found: Sequence[Row] = await self.rows(session, params, state)
            return found
        reader: PageSession = session
        arguments = [await reader.read(page) for page in self.reads]
        arguments += [] if self.params is Params else [params]
        arguments += [] if state is None else [state]
        return await reader.make_rows(self.rows, *arguments)


States = MutableMapping[tuple[str, str | None], object]


async def run_operation(  # noqa: PLR0913 - the last one by name only
    operations: Mapping[str, Operation],
    states: States,
    session: Any,
    query: Query,
    database: str | None,
    *,
    step: bool = False,
) -> Sequence[Row]:
    """Run a query's operation with the state that it kept from the last poll; or its step, which makes no rows."""
    if query.operation is None:
        raise QueryError("query", f"{query.name}: {query.store} has operations only")
    operation, key = operations[query.operation], (query.name, database)
    if key not in states:
        states[key] = operation.state()
    if not step:
        return await operation.run(session, query.params, states[key])
    if operation.step is not None:
        await operation.step(session, query.params, states[key])
    return ()
