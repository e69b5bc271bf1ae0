"""What operations use of a session, and what marks our own statements; loaded without the driver."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Row

_T = TypeVar("_T")

APP = "datatier-exporter"  # in a transaction's metadata
QUERY_TAG = f"/* {APP} */ "  # before a statement's text, where the server's statistics keep it
NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class Session(Protocol):
    """The session as operations see it."""

    @property
    def info(self) -> ServerInfo: ...

    async def run(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]:
        """Run a statement in the query's database, within the query's timeout."""

    async def read(self, page: str) -> list[Row]:
        """Return the rows of one of the statements that operations share; it runs once in a pass."""

    async def make_rows(self, make: Callable[..., _T], *arguments: Any) -> _T:
        """Call `make` with rows."""
