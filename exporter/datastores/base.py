"""The Protocols every store implements, and the operations that stand in where a query cannot say it."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict

from exporter.query import Query, QueryError, Reason, Row
from exporter.server import ServerInfo

Lane = Literal["fast", "slow", "sampler"]
LANES: tuple[Lane, ...] = ("fast", "slow")  # where queries are asked; in the sampler, operations take their steps


class Session(Protocol):
    """One pass of a lane on the lane's own connection."""

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        """Run a query or operation; a page read once in this pass is not read again."""


class Datastore(Protocol):
    """One server. Entering does no I/O, so a dead server never stops start-up; leaving frees every connection.

    clock_skew: how many seconds the server's clock was ahead of ours at the last ping, one that was refused too; None
    where its answer did not tell.
    """

    @property
    def clock_skew(self) -> float | None: ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

    async def ping(self) -> ServerInfo:
        """Make one authenticated round trip."""

    async def databases(self) -> Sequence[str]:
        """Name the databases that a query of scope database visits."""

    def session(self, lane: Lane) -> AbstractAsyncContextManager[Session]: ...

    def reason(self, error: BaseException) -> Reason:
        """Classify an error of this store's client."""


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
    operations: Mapping[str, Operation], states: States, session: Session, query: Query, database: str | None
) -> Sequence[Row]:
    """Run a query's operation with the state it kept from the last poll."""
    operation, state = _kept(operations, states, query, database)
    return await operation.rows(session, query.params, state)


async def take_step(
    operations: Mapping[str, Operation], states: States, session: Session, query: Query, database: str | None
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
