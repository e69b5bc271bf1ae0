"""Backups cut in all the ways that a test can think of, and what is said of each."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from exporter.datastores.backup_sets.backup import Backup
from exporter.datastores.backups.formats.registry import FORMATS
from tests.support.counted_place import CountedPlace, look_at


def cuts(size: int, more: int = 10) -> Iterator[int]:
    """Return lengths: every 1 %, some by chance, and those that lack the last few bytes."""
    chance = random.Random(size)
    yield from sorted({max(1, size * percent // 100) for percent in range(1, 100)} - {size})
    yield from (chance.randrange(1, size) for _ in range(more))
    yield from (size - lacking for lacking in range(3, 20) if lacking < size)


async def told(data: bytes, chosen: str = "auto", name: str = "x", **keys: Any) -> Backup:
    """Return what is said of one file in a set of this format."""
    place = CountedPlace({name: data})
    found = await FORMATS[chosen](look_at(place, "*", format=chosen, **keys))
    assert len(place.reads) <= 8
    [backup] = found.backups
    return backup


async def told_of(files: Mapping[str, bytes], glob: str = "apex", chosen: str = "pg_dump") -> Backup:
    """Return what is said of one folder."""
    found = await FORMATS[chosen](look_at(CountedPlace(dict(files)), glob, format=chosen))
    [backup] = found.backups
    return backup


async def passing(data: bytes, chosen: str = "auto", name: str = "x", every: int = 1) -> list[int]:
    """Return the cuts that are not rejected as such; of all cuts each `every`-th is tried."""
    passed = []
    for length in list(cuts(len(data)))[::every]:
        problem = (await told(data[:length], chosen, name)).problem
        if problem is None or problem.reason != "truncated":
            passed.append(length)
    return passed
