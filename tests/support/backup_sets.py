"""Readers of sets whose formats find what a test says."""

import asyncio
from collections.abc import Sequence
from typing import Any, get_args

from exporter.config.backup_policy import BackupSet, Format
from exporter.config.stores.backups import BackupsTarget
from exporter.datastores.backup_sets.backup import Backup, SetFacts
from exporter.datastores.backups.look import Found, Look
from exporter.datastores.backups.reading import SetsReader
from tests.support.memory_place import MemoryPlace

GOOD = Backup("a", 5.0, 100.0)


class Formats:
    """One format for all sets: what it finds, or raises, by the name of the set; it records the looks in `looks`."""

    def __init__(self, **found: object) -> None:
        self.found: dict[str, object] = dict(found)
        self.looks: list[Look] = []

    @property
    def looked_at(self) -> list[str]:
        return [look.chosen.name for look in self.looks]

    async def __call__(self, look: Look) -> Found:
        self.looks.append(look)
        found = self.found.get(look.chosen.name, GOOD)
        if found == "hang":
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return Found([found]) if isinstance(found, Backup) else Found(found)  # type: ignore[arg-type]  # a test's own


def reader(
    formats: Formats, *names: str, place: MemoryPlace | None = None, marker: str | None = None, **changes: Any
) -> SetsReader:
    sets = [BackupSet.model_validate({**a_set(name), **changes}) for name in names]
    return reader_of(formats, sets, place, marker)


def reader_of(
    formats: Formats, sets: Sequence[BackupSet], place: MemoryPlace | None = None, marker: str | None = None
) -> SetsReader:
    target = BackupsTarget.model_validate(
        {"name": "nas", "store": "backups", "url": "file:///backups", "sets": sets, "marker": marker}
    )
    return SetsReader(target, place or MemoryPlace(), dict.fromkeys(get_args(Format), formats))


def a_set(name: str) -> dict[str, Any]:
    return {"name": name, "of": "orders", "files": f"{name}/*", "every": "1d"}


async def facts(sets: SetsReader) -> dict[str, SetFacts]:
    return {one.check: one.facts for one in await sets.read()}
