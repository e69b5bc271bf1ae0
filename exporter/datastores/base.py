"""The Protocols every store implements, and the operations that stand in where a query cannot say it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, Self

from exporter.errors import Reason
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Query, Row

Lane = Literal["fast", "slow", "sampler"]
LANES: tuple[Lane, ...] = ("fast", "slow")  # that run queries; the sampler runs the steps of operations


class Session(Protocol):
    """One pass of a lane on the lane's own connection."""

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:
        """Run a query or operation; each page is read once in a pass."""


class Datastore(Protocol):
    """One server. Entering does no I/O, so a dead server never stops start-up; leaving frees every connection.

    clock_skew: how many seconds the server's clock was ahead of ours at the last ping, also one that was refused; None
    where the response had no time.
    """

    @property
    def clock_skew(self) -> float | None: ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

    async def ping(self) -> ServerInfo:
        """Make one authenticated round trip."""

    async def databases(self) -> Sequence[str]:
        """Return the names of the databases that a query of scope database visits."""

    def session(self, lane: Lane) -> AbstractAsyncContextManager[Session]: ...

    def reason(self, error: BaseException) -> Reason:
        """Classify an error of this store's client."""
