"""What operations may ask of a session; they are loaded without the driver."""

from collections.abc import Mapping
from typing import Protocol

from exporter.datastores.neo4j.marker import NO_PARAMETERS
from exporter.query import Row
from exporter.server import ServerInfo


class Session(Protocol):
    @property
    def info(self) -> ServerInfo: ...

    async def run(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]: ...

    async def page(self, text: str, parameters: Mapping[str, object] = NO_PARAMETERS) -> list[Row]: ...
