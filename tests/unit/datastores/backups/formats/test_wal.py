"""Archives of WAL: what is missing, and the window, for the layouts of all tools."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from exporter.datastores.backup_sets.backup import Backup, WalArchive
from exporter.datastores.backups.look import Memory
from exporter.errors import QueryError
from tests.support.memory_place import MemoryFile, MemoryPlace
from tests.support.wal_archives import NOW, archive, archived, base, segments, wal_look


def place_of(*parts: Mapping[str, MemoryFile]) -> MemoryPlace:
    return MemoryPlace({name: file for part in parts for name, file in part.items()})


def without(files: dict[str, MemoryFile], *numbers: int) -> dict[str, MemoryFile]:
    return {name: file for name, file in files.items() if name not in segments(numbers)}


def times(found: WalArchive) -> tuple[float | None, float | None]:
    return found.recoverable_from, found.recoverable_until


async def test_read_wal_unbroken_archive_reaches_from_oldest_base_to_newest_segment() -> None:
    place = place_of(segments(range(2, 600)))

    found = await archive(wal_look(place, [base(5), base(300)]))

    assert found == WalArchive(598, 5980, 0, (), base(5).time, archived(599))


async def test_read_wal_missing_segments_are_named_and_end_the_window() -> None:
    place = place_of(without(segments(range(600)), 100, 255, 256))

    found = await archive(wal_look(place, [base(5), base(300), base(400)]))

    assert (found.gaps, found.missing) == (
        3,
        ("000000010000000000000064", "0000000100000000000000FF", "000000010000000100000000"),
    )
    assert times(found) == (base(300).time, archived(599))


async def test_read_wal_gap_after_the_newest_base_ends_the_window_before_it() -> None:
    place = place_of(without(segments(range(600)), 400))

    found = await archive(wal_look(place, [base(5), base(300)]))

    assert (found.gaps, *times(found)) == (1, base(5).time, archived(399))


async def test_read_wal_segments_missing_before_the_oldest_base_do_not_count() -> None:
    place = place_of(without(segments(range(600)), 10, 99))

    assert (await archive(wal_look(place, [base(100)]))).gaps == 0


async def test_read_wal_gap_before_what_keep_demands_does_not_count() -> None:
    """Retention of an archive may keep of older backups only the segments that they need themselves."""
    last = int((NOW - archived(0)) / 60)
    place = place_of(segments(range(100, 105)), segments(range(last - 20_000, last, 10), ending=".lz4"), segments([]))
    bases = [base(100), base(last - 15_000)]
    dense = place_of(segments(range(100, 105)), segments(range(last - 15_000, last)))

    assert (await archive(wal_look(dense, bases))).gaps == last - 15_000 - 105
    assert (await archive(wal_look(dense, bases, keep="7d"))).gaps == 0
    assert (await archive(wal_look(place, bases, keep="7d"))).gaps > 0


async def test_read_wal_hole_before_a_segment_of_the_last_minute_is_not_there_yet() -> None:
    files = segments(range(10)) | {name: MemoryFile(b"x", NOW - 5) for name in segments([11])}

    assert (await archive(wal_look(place_of(files), [base(1)]))).gaps == 0
    later = await archive(wal_look(place_of(files), [base(1)], now=NOW + 60))
    assert later.missing == ("00000001000000000000000A",)


async def test_read_wal_empty_file_is_no_segment() -> None:
    files = segments(range(10)) | {name: MemoryFile(b"", archived(4)) for name in segments([4])}

    assert (await archive(wal_look(place_of(files), [base(1)]))).missing == ("000000010000000000000004",)


async def test_read_wal_without_base_is_the_last_unbroken_run() -> None:
    found = await archive(wal_look(place_of(without(segments(range(10)), 4))))

    assert (found.gaps, *times(found)) == (1, archived(5), archived(9))


async def test_read_wal_without_any_good_base_recovers_nothing() -> None:
    found = await archive(wal_look(place_of(without(segments(range(10)), 4)), []))

    assert found == WalArchive(9, 90, 0)


async def test_read_wal_bases_without_segment_are_as_if_none_were_named() -> None:
    place = place_of(segments(range(10)))

    assert await archive(wal_look(place, [Backup("encrypted", 1, 1)])) == await archive(wal_look(place))


async def test_read_wal_empty_archive_has_nothing() -> None:
    assert await archive(wal_look(MemoryPlace(), [base(1)])) == WalArchive(0, 0, 0)


@pytest.mark.parametrize(
    ("folder", "ending"),
    [
        ("wal/wal_005/", ".lz4"),
        ("wal/15-1/0000000100000000/", "-c8c843e87dbcf7733654713bde6a65934a7bf435.gz"),
        ("wal/wals/0000000100000000/", ""),
        ("wal/2026/11-30/", ""),
    ],
)
async def test_read_wal_layouts_of_tools_are_the_same_archive(folder: str, ending: str) -> None:
    files = segments(range(2, 20), folder, ending=ending)
    files |= {f"{folder}000000010000000000000002.00000028.backup": MemoryFile()}

    assert (await archive(wal_look(place_of(files), [base(3)]))).segments == 18


async def test_read_wal_after_an_upgrade_the_archive_written_last_counts() -> None:
    old = segments(range(300), "wal/9.6-1/0000000100000000/")
    new = segments(range(1000, 1010), "wal/18-2/0000000100000003/")

    found = await archive(wal_look(place_of(old, new), [base(1002)]))

    assert (found.segments, found.gaps, *times(found)) == (10, 0, base(1002).time, archived(1009))


@pytest.mark.parametrize("per_half", [4, 64, 256, 1024, 4096])
@pytest.mark.parametrize("ending", ["", ".gz"])
async def test_read_wal_any_size_of_segments_makes_no_false_gap(per_half: int, ending: str) -> None:
    files = segments(range(3, 9000), per_half=per_half, ending=ending)

    found = await archive(wal_look(place_of(files), [base(10, per_half=per_half)]))

    assert (found.segments, found.gaps) == (8997, 0)


@pytest.mark.parametrize("per_half", [4, 256, 4096])
async def test_read_wal_plain_files_tell_the_size_of_segments(per_half: int) -> None:
    size = 2**32 // per_half
    files = {
        name: MemoryFile(file.content, file.modified, size)
        for name, file in segments([1, 2, 4097], ending="", per_half=per_half).items()
    }

    assert (await archive(wal_look(place_of(files)))).gaps == 4094


HISTORY = b"1\t0/5000028\tno recovery target specified\n"


@pytest.mark.parametrize(
    ("histories", "gaps"),
    [
        ({"wal/00000002.history": HISTORY}, 2),
        ({"wal/00000002.history.gz": b"garbage"}, 1),
        ({}, 1),
    ],
    ids=["told", "unreadable", "guessed"],
)
async def test_read_wal_switch_of_timelines_goes_on_in_the_new_one(histories: dict[str, bytes], gaps: int) -> None:
    """Segment 5 was unfinished when the old timeline ended; 6 of the new one, and its first one, are missing."""
    place = place_of(segments([1, 2, 3, 4, 5, 8, 9]), segments([7, 8, 9, 10], timeline=2))
    place.put(histories, NOW)

    found = await archive(wal_look(place, [base(2)]))

    assert (found.segments, found.gaps) == (11, gaps)
    assert found.recoverable_from == base(2).time


async def test_read_wal_base_of_an_abandoned_timeline_begins_no_window() -> None:
    place = place_of(segments(range(1, 20)), segments(range(5, 9), timeline=2))
    place.put({"wal/00000002.history": HISTORY}, NOW)

    found = await archive(wal_look(place, [base(12), base(6, timeline=2)]))

    assert (found.gaps, *times(found)) == (0, base(6).time, archived(8))


async def test_read_wal_oldest_base_without_its_first_segment_is_being_expired() -> None:
    place, memory = place_of(segments(range(10, 30))), Memory()

    bases = [base(5), base(12)]

    assert (await archive(wal_look(place, bases, memory))).gaps == 0
    assert (await archive(wal_look(place, bases, memory, now=NOW + 300))).gaps == 0
    assert (await archive(wal_look(place, bases, memory, now=NOW + 420))).gaps == 5


async def test_read_wal_history_that_may_not_be_read_is_guessed() -> None:
    place = Unreadable(dict(place_of(segments(range(6)), segments(range(5, 9), timeline=2)).files))
    place.put({"wal/00000002.history": HISTORY}, NOW)

    assert (await archive(wal_look(place, [base(2)]))).gaps == 0


class Unreadable(MemoryPlace):
    async def read(self, name: str, start: int, length: int) -> bytes:
        raise QueryError("privilege", f"read {name} from {start}, {length}")


async def test_read_wal_names_that_lie_stay_numbers() -> None:
    files = segments(range(5)) | {"wal/00000001FFFFFFFF000000FF": MemoryFile(b"x", archived(9))}

    found = await archive(wal_look(place_of(files), [base(1)]))

    assert (found.gaps, len(found.missing)) == (2**40 - 6, 10)


async def test_read_wal_base_of_another_archive_begins_no_window() -> None:
    """After an upgrade the numbers of segments go on, but the backups of the old server are of no use here."""
    place = place_of(
        segments(range(5), "wal/15-1/0000000100000000/"), segments(range(7, 10), "wal/18-2/0000000100000000/")
    )
    old, new = (
        replace(base(number), start_segment=f"{own}/{base(number).start_segment}")
        for number, own in ((2, "15-1"), (8, "18-2"))
    )

    before, after = [await archive(wal_look(place, bases)) for bases in ([old], [old, new])]

    assert (before.gaps, *times(before)) == (0, None, None)
    assert (after.gaps, *times(after)) == (0, new.time, archived(9))


@pytest.mark.parametrize(
    ("files", "count"), [("wal/*.gz", 3), ("wal/", 8), ("wal/**/*.lz4", 5), ("wal/0000000[1]*", 3)]
)
async def test_read_wal_glob_chooses_its_files(files: str, count: int) -> None:
    place = place_of(segments(range(3)), segments(range(20, 25), "wal/deep/", ending=".lz4"))
    place.files = {name: replace(file, modified=NOW - 1000) for name, file in place.files.items()}

    assert (await archive(wal_look(place, files=files))).segments == count


@pytest.mark.parametrize("ahead", [7200.0, 365 * 86400.0])
async def test_read_wal_newest_segment_of_the_future_is_no_time_that_can_be_recovered(ahead: float) -> None:
    place = place_of(segments(range(2, 600)))
    [(name, file)] = segments([599]).items()
    place.files[name] = replace(file, modified=NOW + ahead)

    for bases in (None, [base(5)]):
        with pytest.raises(QueryError, match="in the future"):
            await archive(wal_look(place, bases))


async def test_read_wal_gap_before_segments_of_the_future_counts() -> None:
    place = place_of(without(segments(range(2, 600)), 500))
    [(name, file)] = segments([501]).items()
    place.files[name] = replace(file, modified=NOW + 365 * 86400.0)

    assert (await archive(wal_look(place, [base(5)]))).gaps == 1
