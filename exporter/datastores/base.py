"""The Protocols every store implements, and the operations that stand in where a query cannot say it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, Self

from exporter.errors import Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query, Row

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
