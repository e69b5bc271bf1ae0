"""Places as the datastore opens and closes them: a folder or a bucket, as the URL says."""

from typing import Protocol

from exporter.config.stores.backups import BackupsTarget, Original, OriginalSet
from exporter.datastores.backups.file_place import FilePlace
from exporter.datastores.backups.place import DiskUse, Place
from exporter.errors import QueryError
from exporter.queries.conditions import ServerInfo


class OpenedPlace(Place, Protocol):
    """A place that can be asked what it is.

    clock_skew: how many seconds its clock is ahead of ours, None where that is unknown.
    """

    @property
    def clock_skew(self) -> float | None: ...

    async def ping(self) -> ServerInfo:
        """Prove that it can be listed."""

    async def disk(self) -> DiskUse | None:
        """Return how full it is; None where it does not say."""

    async def close(self) -> None: ...


def open_place(target: BackupsTarget) -> OpenedPlace:
    """Make the place of a target; no I/O happens before it is used."""
    if target.folder is not None:
        return FilePlace(target.folder, target.marker)
    raise QueryError("unsupported", "buckets are not read yet")


def open_original(original: Original) -> OpenedPlace:
    """Make the place of what a set is a copy of."""
    if isinstance(original, OriginalSet):
        return open_place(original.place)
    raise QueryError("unsupported", "buckets are not read yet")
