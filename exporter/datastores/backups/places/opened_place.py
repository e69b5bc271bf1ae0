"""Places as the datastore opens and closes them: a folder or a bucket, as the URL says."""

from typing import Protocol

import httpx

from exporter.config.stores.backups import BackupsTarget, Original, OriginalSet
from exporter.datastores.backups.places.file_place import FilePlace
from exporter.datastores.backups.places.place import DiskUse, Place
from exporter.datastores.backups.places.s3_place import S3Place
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


def open_place(target: BackupsTarget, transport: httpx.AsyncBaseTransport | None = None) -> OpenedPlace:
    """Make the place of a target that is linked with the others; tests give a transport. No I/O happens yet."""
    if target.folder is not None:
        return FilePlace(target.folder, target.marker)
    if target.server is None:
        raise ValueError(f"{target.name}: a bucket without a server: the targets are not linked")
    return S3Place(target.server, target.bucket, target.prefix, target.marker, transport)


def open_original(original: Original) -> OpenedPlace:
    """Make the place of what a set is a copy of."""
    if isinstance(original, OriginalSet):
        return open_place(original.place)
    return S3Place(original.server, original.bucket)
