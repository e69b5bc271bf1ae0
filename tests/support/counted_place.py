"""A place of backups in memory that counts what is read of it, lists in small pages and shuts single files."""

import time
from dataclasses import dataclass, field
from typing import Any

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backups.look import Look, Memory
from exporter.datastores.backups.places.place import Entry, GoneError, Page
from exporter.errors import QueryError

NOW = time.time()
OLD = NOW - 300.0


@dataclass
class CountedPlace:
    """Files by name. closed: names that may not be read. encrypted: names of which the server says so."""

    files: dict[str, bytes] = field(default_factory=dict)
    modified: dict[str, float] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    encrypted: set[str] = field(default_factory=set)
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    page: int = 1000
    lists: int = 0
    shows_whole: bool = False
    reads_all_or_none: bool = False

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
        self.lists += 1
        level = prefix.rfind("/") + 1
        names = sorted({name if deep else _at_level(name, level) for name in self.files if name.startswith(prefix)})
        names = [name for name in names if name > after]
        page = names[: min(most, self.page)]
        entries = [self.entry(name) for name in page if not name.endswith("/")]
        return Page(entries, [name for name in page if name.endswith("/")], more=len(names) > len(page))

    async def read(self, name: str, start: int, length: int) -> bytes:
        self.reads.append((name, start, length))
        if name not in self.files:
            raise GoneError
        if name in self.closed:
            raise QueryError("privilege", "not permitted")
        return self.files[name][start : start + length]

    async def encrypted_at_rest(self, name: str) -> bool:
        return name in self.encrypted

    def entry(self, name: str) -> Entry:
        return Entry(name, len(self.files[name]), self.modified.get(name, OLD))


def _at_level(name: str, level: int) -> str:
    folder, slash, _ = name[level:].partition("/")
    return name[:level] + folder + slash


def look_at(
    place: CountedPlace, files: str = "*", memory: Memory | None = None, until: float = float("inf"), **chosen: Any
) -> Look:
    """Return a look at a set of these files; `chosen` are further keys of the set."""
    policy = BackupSet.model_validate({"name": "daily", "of": "orders", "files": files, "every": "1d", **chosen})
    return Look(place, policy, memory or Memory(), NOW, until)
