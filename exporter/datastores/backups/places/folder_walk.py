"""Walk the folders below a prefix in order of names, a page at a time."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from heapq import merge
from itertools import islice
from pathlib import Path

from exporter.datastores.backups.places.file_threads import Call
from exporter.datastores.backups.places.folders import failure, is_gone, open_folder
from exporter.datastores.backups.places.place import MOST_ENTRIES, Entry, Page, too_many
from exporter.errors import QueryError
from exporter.logs import visible

MOST_DEEP = 32
_SORTED_AT_ONCE = 10_000  # names: to sort more would stop all other threads for longer than a few milliseconds
_CHECK_EVERY = 1_000  # names
_SLOW_PAGE = 3.0  # seconds: then a page ends early, so that a slow disk makes progress
_OF_FSCK = "lost+found"  # at the root of a file system: only root may read it, and it holds no backups


class FolderWalk:
    """Go through the names after `after`; between two pages only names are kept, and no descriptor.

    Names are kept of what begins with the prefix alone, and are counted: a place with more is an error as soon as it is
    found, however many there are.
    """

    def __init__(self, root: Path, prefix: str, after: str, *, deep: bool) -> None:
        self._root = root
        self._prefix = prefix
        self._after = after
        self._deep = deep
        self._kept = 0
        self._call = Call("", 0.0)
        self._descriptor: tuple[str, int] | None = None
        folder, slash, stem = prefix.rpartition("/")
        self._names = self._walk(folder + slash, stem, 0)
        self._next: str | None = ""

    @property
    def ended(self) -> bool:
        return self._next is None

    def page(self, most: int, call: Call) -> Page:
        """Return the next page; raise QueryError, after which the walk is of no use."""
        self._call = call
        try:
            return self._page(most, time.monotonic() + _SLOW_PAGE)
        finally:
            self._close()

    def _page(self, most: int, slow: float) -> Page:
        entries, folders = list[Entry](), list[str]()
        name = self._next or next(self._names, None)
        while name is not None:
            if name.endswith("/"):
                folders.append(name)
            elif (entry := self._entry(name)) is not None:
                entries.append(entry)
            name = next(self._names, None)
            count = len(entries) + len(folders)
            if count >= most or (count and time.monotonic() >= slow):
                break
        self._next = name
        return Page(entries, folders, more=name is not None)

    def _walk(self, folder: str, stem: str, depth: int) -> Iterator[str]:
        if depth > MOST_DEEP:
            raise QueryError("limit", f"more than {MOST_DEEP} folders deep: {visible(folder)}")
        for name in self._scan(folder, stem):
            if name.endswith("/") and self._deep:
                yield from self._walk(folder + name, "", depth + 1)
            else:
                yield folder + name

    def _scan(self, folder: str, stem: str) -> Iterator[str]:
        """Return the names in a folder, in order of whole names: a folder's slash counts."""
        chunks: list[list[str]] = [[]]
        try:
            with os.scandir(self._opened(folder)) as found:
                after = self._after_in(folder)
                while some := list(islice(found, _CHECK_EVERY)):
                    self._call.check()
                    # Most names of a large folder end here; of those up to `after`, it may still lie in a folder.
                    likely = [one for one in some if one.name > after or after.startswith(one.name)]
                    chunks[-1] += filter(None, (self._chosen(folder, stem, one) for one in likely))
                    if len(chunks[-1]) >= _SORTED_AT_ONCE:
                        chunks.append([])
        except (OSError, ValueError) as error:
            if not is_gone(error):
                raise failure(folder, error) from None
        for chunk in chunks:
            chunk.sort()
        return merge(*chunks) if len(chunks) > 1 else iter(chunks[0])

    def _after_in(self, folder: str) -> str:
        """Return `after` below a folder; empty where all in it comes after."""
        return self._after.removeprefix(folder) if self._after.startswith(folder) else ""

    def _chosen(self, folder: str, stem: str, one: "os.DirEntry[str]") -> str:
        """Return the name, a folder's with its slash; empty where it is of no interest."""
        if not one.name.startswith(stem):
            return ""
        if one.is_file(follow_symlinks=False):
            return self._counted(one.name) if folder + one.name > self._after else ""
        if not one.is_dir(follow_symlinks=False) or one.name == _OF_FSCK:
            return ""
        whole = f"{folder}{one.name}/"
        below = self._deep and self._after.startswith(whole)
        return self._counted(f"{one.name}/") if whole > self._after or below else ""

    def _counted(self, name: str) -> str:
        self._kept += 1
        if self._kept > MOST_ENTRIES:
            where = f" below {visible(self._prefix)}" if self._prefix else ""
            raise too_many(MOST_ENTRIES, where)
        return name

    def _entry(self, name: str) -> Entry | None:
        """Return a file as it is now; None where it vanished or is another thing meanwhile."""
        folder, slash, last = name.rpartition("/")
        self._call.check()
        try:
            found = os.stat(last, dir_fd=self._opened(folder + slash), follow_symlinks=False)
        except (OSError, ValueError) as error:
            if is_gone(error):
                return None
            raise failure(folder + slash, error) from None
        return Entry(name, found.st_size, found.st_mtime) if stat.S_ISREG(found.st_mode) else None

    def _opened(self, folder: str) -> int:
        """Return a descriptor of a folder: the last one's is at hand, as most names come folder by folder."""
        if self._descriptor is None or self._descriptor[0] != folder:
            self._close()
            self._descriptor = (folder, open_folder(self._root, folder))
        return self._descriptor[1]

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor[1], None
            with suppress(OSError):
                os.close(descriptor)
