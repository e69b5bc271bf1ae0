"""A place that is a folder: a disk, or a file system that is mounted, and may hang or vanish."""

import os
import time
from pathlib import Path

from exporter.datastores.backups.places.denials import Denials
from exporter.datastores.backups.places.file_threads import Call, FileThreads
from exporter.datastores.backups.places.folder_walk import FolderWalk
from exporter.datastores.backups.places.folders import open_root, opened_folder, read_part
from exporter.datastores.backups.places.place import DiskUse, GoneError, Page
from exporter.errors import QueryError
from exporter.queries.conditions import ServerInfo

_LIST_SECONDS, _READ_SECONDS, _PING_SECONDS = 10.0, 5.0, 4.0
_HELD_WALKS, _HELD_SECONDS = 2, 30.0
_GRANT = "let the user of the exporter read and enter it: setfacl -R -m u:USER:rX FOLDER, and -d for what comes later"


class FilePlace:
    """Read a folder in threads of its own; a walk that has further pages is kept for the next one.

    marker: a file that shows that the place is mounted.
    """

    shows_whole = False
    reads_all_or_none = False
    clock_skew: float | None = None  # an NFS server's clock is not asked: that would mean to write

    def __init__(self, root: Path, marker: str | None = None) -> None:
        self._root = root
        self._marker = marker
        self._threads = FileThreads()
        self._walks: dict[tuple[str, bool, str], tuple[float, FolderWalk]] = {}
        self._denials = Denials()

    async def close(self) -> None:
        self._walks.clear()

    async def ping(self) -> ServerInfo:
        """Prove that the folder is there; where it may not be read, that is what the ping says is missing."""
        try:
            with self._denials.noting("read", ""):
                identity = await self._threads.run("", _PING_SECONDS, self._prove)
        except QueryError as error:
            if error.reason != "privilege":
                raise
            identity = ""
        return ServerInfo(
            version="",
            edition="file",
            identity=identity,
            capabilities={"disk": ""},
            missing_privileges=dict.fromkeys(self._denials.actions(), _GRANT),
        )

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
        walk = self._walk_from(prefix, after, deep=deep)
        with self._denials.noting("read", f"{prefix}*"):
            page = await self._threads.run(_part(prefix), _LIST_SECONDS, lambda call: walk.page(most, call))
        if page.more and not walk.ended:
            last = max([entry.name for entry in page.entries[-1:]] + list(page.folders[-1:]), default=after)
            while len(self._walks) >= _HELD_WALKS:
                self._walks.pop(next(iter(self._walks)))
            self._walks[prefix, deep, last] = (time.monotonic(), walk)
        return page

    async def read(self, name: str, start: int, length: int) -> bytes:
        with self._denials.noting("read", name):
            return await self._threads.run(
                _part(name), _READ_SECONDS, lambda _: read_part(self._root, name, start, length)
            )

    async def encrypted_at_rest(self, name: str) -> bool:  # noqa: ARG002 - a file system does not tell
        return False

    async def disk(self) -> DiskUse | None:
        """Return how full the file system is; None where it has no size, as some made by programs have not."""
        return await self._threads.run("", _READ_SECONDS, self._disk)

    def _walk_from(self, prefix: str, after: str, *, deep: bool) -> FolderWalk:
        now = time.monotonic()
        for key, (since, _) in list(self._walks.items()):
            if now - since > _HELD_SECONDS:
                del self._walks[key]
        held = self._walks.pop((prefix, deep, after), None) if after else None
        return FolderWalk(self._root, prefix, after, deep=deep) if held is None else held[1]

    def _prove(self, _: Call) -> str:
        """Return what the root is; raise QueryError where it cannot be listed, or the marker is not there."""
        descriptor = open_root(self._root)
        try:
            with os.scandir(descriptor) as found:
                next(found, None)
            root = os.fstat(descriptor)
        except OSError as error:
            raise QueryError("connect", f"the folder cannot be listed: {error.strerror}") from None
        finally:
            os.close(descriptor)
        if self._marker is not None:
            self._demand(self._marker)
        return f"{root.st_dev}:{root.st_ino}"

    def _demand(self, marker: str) -> None:
        try:
            read_part(self._root, marker, 0, 1)
        except GoneError:
            raise QueryError("connect", "its marker is not there: is the place mounted?") from None

    def _disk(self, _: Call) -> DiskUse | None:
        with opened_folder(self._root, "") as descriptor:
            found = os.fstatvfs(descriptor)
        used = found.f_blocks - found.f_bfree
        return DiskUse(used / (used + found.f_bavail)) if used + found.f_bavail > 0 else None


def _part(name: str) -> str:
    """Return the folder below the root that a name lies in: another file system may be mounted on each."""
    first, slash, _ = name.partition("/")
    return first if slash else ""
