"""Looks at sets of backups, of files in memory and of folders that real tools filled."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.look import Look, Memory
from exporter.datastores.backups.places.place import Place
from tests.support.memory_place import MemoryFile, MemoryPlace

NOW = 1_800_000_000.0


def look_at(place: Place, files: str, style: str, memory: Memory | None = None, **parts: Any) -> Look:
    """Return a look at a set of a format, here called its style; `parts` are the look's."""
    described = {"name": "set", "of": "orders", "files": files, "format": style, "every": "1d"}
    look = Look(place, BackupSet.model_validate(described), memory or Memory(), NOW, float("inf"))
    return replace(look, **parts)


def place_of(top: Path) -> MemoryPlace:
    """Read a folder into memory; symbolic links are left out, as places do."""
    place = MemoryPlace()
    for folder, _, names in os.walk(top):
        for path in (Path(folder, name) for name in names):
            if path.is_file() and not path.is_symlink():
                file = MemoryFile(path.read_bytes(), path.stat().st_mtime)
                place.files[str(path.relative_to(top))] = file
    return place


def problems(backups: Iterable[Backup]) -> dict[str, Problem | None]:
    return {backup.name: backup.problem for backup in backups}
