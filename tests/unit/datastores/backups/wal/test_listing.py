"""Large archives of WAL are listed in parts, and still nothing that vanishes stays unseen."""

import dataclasses
import time

import pytest

from exporter.datastores.backups.look import Memory, UnfinishedError
from exporter.datastores.backups.places.place import Page
from exporter.datastores.backups.wal.listing import SMALL
from exporter.errors import QueryError
from tests.support.memory_place import MemoryPlace
from tests.support.wal_archives import archive, archived, base, segments, wal_look

LARGE = 12_000


class CountingPlace(MemoryPlace):
    """Count the entries of all pages."""

    entries = 0

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
        page = await super().list(prefix, deep=deep, after=after, most=most)
        self.entries += len(page.entries)
        return page


async def test_list_archive_small_one_misses_a_segment_at_the_next_look() -> None:
    place, memory = MemoryPlace(segments(range(SMALL))), Memory()
    await archive(wal_look(place, [base(1)], memory))
    for name in segments([2500]):
        del place.files[name]

    assert (await archive(wal_look(place, [base(1)], memory))).missing == ("0000000100000009000000C4",)


async def test_list_archive_large_one_is_read_in_parts_that_together_see_all() -> None:
    place, memory = CountingPlace(segments(range(LARGE))), Memory()
    look = wal_look(place, [base(1), base(11_995)], memory)
    await archive(look)
    first, place.entries = place.entries, 0
    for name in segments([77, 5_345, 11_990]):
        del place.files[name]
    place.files |= segments(range(LARGE, LARGE + 20))

    found = await archive(look)
    one_look = place.entries
    gaps = [found.gaps] + [(await archive(look)).gaps for _ in range(LARGE // 1000)]

    assert (first, found.segments) == (LARGE, LARGE + 19 - (found.gaps - 1))
    assert one_look <= 3_100
    assert found.recoverable_until == archived(LARGE + 19)
    assert "000000010000002E000000D6" in found.missing
    assert gaps == sorted(gaps)
    assert gaps[-1] == 3


async def test_list_archive_grows_and_shrinks_with_its_files() -> None:
    place, memory = MemoryPlace(segments(range(7000))), Memory()
    for step in range(1, 20):
        found = await archive(wal_look(place, [base(500 * step)], memory))
        assert found.gaps == 0
        for name in segments(range(500 * (step - 1), 500 * step)):
            place.files.pop(name, None)
        place.files |= segments(range(7000 + 500 * (step - 1), 7000 + 500 * step))

    assert found.segments <= 16_000


async def test_list_archive_new_timeline_in_a_large_archive_is_seen_at_once() -> None:
    place, memory = MemoryPlace(segments(range(10_000))), Memory()
    await archive(wal_look(place, [base(1)], memory))
    place.files |= segments(range(9_999, 10_010), timeline=2)

    found = await archive(wal_look(place, [base(1)], memory))

    assert (found.gaps, found.recoverable_until) == (0, archived(10_009))


async def test_list_archive_time_over_goes_on_at_the_next_look() -> None:
    place, memory = CountingPlace(segments(range(LARGE))), Memory()
    look = wal_look(place, [base(1)], memory)

    with pytest.raises(UnfinishedError):
        await archive(dataclasses.replace(look, until=time.monotonic() - 1))
    memory_after = memory.progress
    found = await archive(look)

    assert memory.progress is memory_after
    assert (found.segments, place.entries) == (LARGE, LARGE)


async def test_list_archive_too_large_a_one_is_a_limit() -> None:
    place = MemoryPlace()
    place.list = Endless().list  # type: ignore[method-assign]  # an archive without end

    with pytest.raises(QueryError, match=r"more than 200,000 files") as caught:
        await archive(wal_look(place, [base(1)]))

    assert caught.value.reason == "limit"


class Endless(MemoryPlace):
    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:  # noqa: ARG002 - the place's
        begin = int(after[-24:], 16) % 2**20 + 1 if after else 0
        names = segments(range(begin, begin + most), prefix, ending="", per_half=4096)
        self.files = names
        return Page([self._entry(name) for name in sorted(names)], more=True)
