"""A place of backups in memory, whose files, refusals and delays a test sets."""

import asyncio
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.datastores.backups.places.place import Entry, GoneError, Page
from exporter.errors import QueryError


@dataclass(frozen=True)
class MemoryFile:
    """The content, and when it was modified, as Unix time; `bytes` where the content is only a part of so many."""

    content: bytes = b"x"
    modified: float = 0.0
    bytes: int | None = None
    encrypted: bool = False


@dataclass
class MemoryPlace:
    """Answer from `files`, by name; `failing` is raised instead, `hanging` are names and prefixes without an answer.

    asked: every call, in order.
    """

    files: dict[str, MemoryFile] = field(default_factory=dict)
    failing: QueryError | None = None
    hanging: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    shows_whole: bool = False
    reads_all_or_none: bool = False

    def put(self, files: Mapping[str, bytes], modified: float = 0.0) -> None:
        self.files |= {name: MemoryFile(content, modified) for name, content in files.items()}

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
        await self._answer("list", prefix)
        names = [name for name in sorted(self.files) if name.startswith(prefix)]
        if deep:
            chosen = names[bisect_right(names, after) :]
            return Page([self._entry(name) for name in chosen[:most]], more=len(chosen) > most)
        level = sorted({prefix + _first(name.removeprefix(prefix)) for name in names})
        chosen = level[bisect_right(level, after) :]
        shown = chosen[:most]
        files = [self._entry(name) for name in shown if not name.endswith("/")]
        return Page(files, [name for name in shown if name.endswith("/")], more=len(chosen) > most)

    async def read(self, name: str, start: int, length: int) -> bytes:
        await self._answer("read", name)
        if name not in self.files:
            raise GoneError(name)
        return self.files[name].content[start : start + length]

    async def encrypted_at_rest(self, name: str) -> bool:
        await self._answer("head", name)
        return self.files[name].encrypted

    async def _answer(self, call: str, name: str) -> None:
        self.asked.append((call, name))
        await asyncio.sleep(0)
        if name in self.hanging:
            await asyncio.Event().wait()
        if self.failing is not None:
            raise self.failing

    def _entry(self, name: str) -> Entry:
        file = self.files[name]
        return Entry(name, len(file.content) if file.bytes is None else file.bytes, file.modified)


def _first(rest: str) -> str:
    head, slash, _ = rest.partition("/")
    return head + slash
