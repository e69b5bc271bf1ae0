"""What the formats need of a place; a folder and a bucket look the same to them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from exporter.errors import QueryError

MOST_ENTRIES = 200_000  # of one listing, whether they belong to a set or not


class Entry(NamedTuple):
    """A file or an object: its name below the place, its size, and when it was modified, as Unix time."""

    name: str
    bytes: int
    modified: float


class Page(NamedTuple):
    """A part of a listing, in order of names; `more`: there are further ones after the last name.

    folders: the names of folders at the level of the prefix, each with a slash at its end; none in a deep listing.
    """

    entries: Sequence[Entry]
    folders: Sequence[str] = ()
    more: bool = False


class DiskUse(NamedTuple):
    """The share of a file system that is used, as df shows it: what only root may fill counts as used up."""

    used_ratio: float


class GoneError(Exception):
    """What was listed is no longer there: a rotation may have removed it."""


def too_many(most: int = MOST_ENTRIES, where: str = "") -> QueryError:
    """Return the error of a listing with more entries, and what its user can do."""
    return QueryError("limit", f"more than {most:,} files{where}: narrow `files`, or give the set a folder of its own")


class Place(Protocol):
    """A folder or a bucket. Every method has a deadline of its own; nothing is ever written.

    All raise QueryError: `connect`, `timeout`, `privilege`, `limit`, `decode`.

    shows_whole: what is being written cannot be seen yet.
    reads_all_or_none: a refusal to read is that of a policy, which the ping names, and tells nothing of the one file.
    """

    @property
    def shows_whole(self) -> bool: ...

    @property
    def reads_all_or_none(self) -> bool: ...

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
        """List what begins with the prefix, `most` at most, from the name after `after` on.

        deep: also what lies in folders below the prefix's last slash. What is no regular file, or a symbolic link, is
        left out. A place that does not have the prefix's folder returns an empty page.
        """

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Return at most `length` bytes from `start` on; raise GoneError where the file is not there."""

    async def encrypted_at_rest(self, name: str) -> bool:
        """Return whether the server says that it stores the object encrypted."""
