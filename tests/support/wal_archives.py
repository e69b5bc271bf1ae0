"""Archives of WAL for tests: their files by the numbers of segments."""

from collections.abc import Iterable

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Backup, WalArchive
from exporter.datastores.backups.formats import wal
from exporter.datastores.backups.look import Look, Memory
from exporter.datastores.backups.wal.names import segment_name
from tests.support.memory_place import MemoryFile, MemoryPlace

NOW = 1_800_000_000.0
INTERVAL = 60.0  # seconds between two segments


def archived(number: int) -> float:
    """Return when a segment was archived: number 0 a long time ago, one a minute."""
    return NOW - 10_000_000 + number * INTERVAL


def segments(
    numbers: Iterable[int], folder: str = "wal/", *, timeline: int = 1, ending: str = ".gz", per_half: int = 256
) -> dict[str, MemoryFile]:
    names = {number: f"{folder}{segment_name(timeline, number, per_half)}{ending}" for number in numbers}
    return {name: MemoryFile(b"x" * 10, archived(number)) for number, name in names.items()}


def base(number: int, *, timeline: int = 1, per_half: int = 256, name: str = "") -> Backup:
    """Return a base backup that began in a segment and ended half a minute later."""
    start = segment_name(timeline, number, per_half)
    return Backup(name or f"base of {number}", archived(number) + 30, 1, start_segment=start)


def wal_look(
    place: MemoryPlace,
    bases: Iterable[Backup] | None = None,
    memory: Memory | None = None,
    *,
    now: float = NOW,
    **keys: object,
) -> Look:
    chosen = BackupSet.model_validate(
        {"name": "wal", "of": "orders", "files": "wal/", "format": "wal", "every": "5m", **keys}
    )
    known = None if bases is None else sorted(bases, key=lambda one: one.time)
    return Look(place, chosen, memory or Memory(), now, float("inf"), bases=known)


async def archive(look: Look) -> WalArchive:
    found = (await wal.read(look)).wal
    if found is None:
        raise AssertionError("format wal must find an archive")
    return found
