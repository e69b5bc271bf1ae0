"""Walk the objects of a bucket below a prefix in order of names, a page at a time."""

import time
from collections.abc import Awaitable, Callable, Iterable

from exporter.datastores.backups.places.place import Entry, Page
from exporter.datastores.s3.listing import PAGE_KEYS, Listing, listing_query
from exporter.errors import QueryError

_HELD_SECONDS = 30.0
_SLOW_PAGE = 3.0  # seconds: then a page ends early, so that a slow server makes progress
_EMPTY_PAGES = 10  # which some servers send where many versions were deleted
_LAST_CHARACTER = "\U0010ffff"


class S3Walk:
    """Go through the names after `after`. The server must send each name once, in order: else nothing can be known.

    last_name: the last one of the last page.
    """

    def __init__(self, place: str, prefix: str, after: str, *, deep: bool) -> None:
        self._place = place
        self._prefix = place + prefix
        self._deep = deep
        self._token = ""
        self._last = place + after if after else ""
        self._page_at = time.monotonic()
        self.last_name = after

    @property
    def too_old(self) -> bool:
        """Return whether the server may have forgotten the token of the next page."""
        return time.monotonic() - self._page_at > _HELD_SECONDS

    async def page(self, most: int, request: Callable[[str], Awaitable[Listing]]) -> Page:
        """Return the next page; `request` makes a ListObjectsV2 of a query."""
        entries, folders = list[Entry](), list[str]()
        slow = time.monotonic() + _SLOW_PAGE
        more, empty = True, 0
        while more and len(entries) + len(folders) < most and empty < _EMPTY_PAGES:
            keys = min(PAGE_KEYS, most - len(entries) - len(folders))
            listing = await request(self._query(keys))
            known = len(entries) + len(folders)
            self._take(listing, entries, folders)
            more, found = listing.truncated, len(entries) + len(folders)
            empty = empty + 1 if found == known else 0
            if found and time.monotonic() >= slow:
                break
        if more and not (entries or folders):
            raise QueryError("decode", "the server's listing goes on for ever without an object")
        self._page_at = time.monotonic()
        self.last_name = max((entries[-1].name if entries else "", folders[-1] if folders else "", self.last_name))
        return Page(entries, folders, more)

    def _query(self, keys: int) -> str:
        start_after = self._last
        if not self._deep and start_after.endswith("/"):
            start_after += _LAST_CHARACTER  # behind all of that folder
        return listing_query(self._prefix, deep=self._deep, keys=keys, start_after=start_after, token=self._token)

    def _take(self, listing: Listing, entries: list[Entry], folders: list[str]) -> None:
        """Add what a page of the server has; markers of folders, which consoles make, are no files."""
        before, cut = self._last, len(self._place)
        new = [folder for folder in listing.folders if folder != before]
        for names in ((one.key for one in listing.objects), new):
            self._last = max(self._last, self._in_order(before, names))
        entries += [
            Entry(one.key[cut:], one.bytes, one.modified) for one in listing.objects if not one.key.endswith("/")
        ]
        folders += [folder[cut:] for folder in new]
        if listing.truncated and self._last == before and not listing.token:
            raise QueryError("decode", "the server's listing has a next page, and no way to it")
        self._token = listing.token

    def _in_order(self, last: str, names: Iterable[str]) -> str:
        """Return the last of some names; raise QueryError where one is out of order or of another prefix."""
        for name in names:
            if name <= last or not name.startswith(self._prefix):
                raise QueryError("decode", "the server's listing repeats itself, or is not in order of names")
            last = name
        return last
