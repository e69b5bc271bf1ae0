"""What operations use of a session, and what marks our own statements; loaded without the driver."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from exporter.queries.conditions import ServerInfo
from exporter.queries.operation import PageSession
from exporter.queries.query import Row

APP = "datatier-exporter"  # in a transaction's metadata
QUERY_TAG = f"/* {APP} */ "  # before a statement's text, where the server's statistics keep it
NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class Session(PageSession, Protocol):
    """The session as operations see it."""

    @property
    def info(self) -> ServerInfo: ...

    async def run(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]:
        """Run a statement in the query's database, within the query's timeout."""
