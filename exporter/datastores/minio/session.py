"""What operations use of a session, and the responses of a MinIO server as they see them; loads no client."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.datastores.json_text import objects
from exporter.datastores.prometheus_text import NativePage
from exporter.queries.operation import PageSession


class Health(NamedTuple):
    """The response of a health endpoint: its status, and its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]


class OperationSession(PageSession, Protocol):
    """The session as operations see it; each page is read from the server once in a pass."""

    @property
    def drives_per_set(self) -> Sequence[int]: ...

    async def read(self, page: str) -> Any:
        """Return the NativePage `metrics`, or one of ADMIN_PAGES."""

    async def health(self, endpoint: str) -> Health: ...


def size_of(page: object) -> int:
    """Return the bytes of the metrics page, or about how many the lists of an admin page take."""
    if isinstance(page, NativePage):
        return page.size
    if not isinstance(page, Mapping):
        return 0
    drives = sum(len(objects(node, "drives")) for node in objects(page, "servers"))
    return 200 * (drives + sum(len(found) for found in page.values() if isinstance(found, list | dict)))
