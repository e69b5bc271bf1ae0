"""Operations stand in where a query cannot say it: functions of a store that make rows."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from exporter.errors import QueryError
from exporter.queries.query import Query, Row


class Params(BaseModel):
    """What an operation may be told in a query file; each operation has its own frozen model."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """A function that makes rows where the store has no query for it.

    rows(session, params, state): session is the store's own Session. state() makes what one query of one
    target and database keeps between polls; its types are those of `accumulate`.

    step(session, params, state): looks more often than rows are made of what it saw, every so many seconds, in the
    sampler's lane on a connection of its own.
    """

    rows: Callable[[Any, Any, Any], Awaitable[Sequence[Row]]]
    params: type[Params] = Params
    state: Callable[[], object] = lambda: None
    step: Callable[[Any, Any, Any], Awaitable[None]] | None = None
    every: float | None = None


States = MutableMapping[tuple[str, str | None], object]


async def run_operation(
    operations: Mapping[str, Operation], states: States, session: object, query: Query, database: str | None
) -> Sequence[Row]:
    """Run a query's operation with the state it kept from the last poll."""
    operation, state = _kept(operations, states, query, database)
    return await operation.rows(session, query.params, state)


async def take_step(
    operations: Mapping[str, Operation], states: States, session: object, query: Query, database: str | None
) -> Sequence[Row]:
    """Run the step of a query's operation, into the state that its rows will be made of; there are none yet."""
    operation, state = _kept(operations, states, query, database)
    if operation.step is not None:
        await operation.step(session, query.params, state)
    return ()


def _kept(
    operations: Mapping[str, Operation], states: States, query: Query, database: str | None
) -> tuple[Operation, object]:
    if query.operation is None:
        raise QueryError("query", f"{query.name}: {query.store} has operations only")
    operation = operations[query.operation]
    key = (query.name, database)
    if key not in states:
        states[key] = operation.state()
    return operation, states[key]
