"""What operations may ask of a session, and how our own statements are told from others; loaded without the driver."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Row

APP = "datatier-exporter"  # in a transaction's metadata
MARKER = f"/* {APP} */ "  # before a statement's text, where the server's statistics keep it
NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class Session(Protocol):
    @property
    def info(self) -> ServerInfo: ...

    async def run(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]: ...

    async def page(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]: ...
