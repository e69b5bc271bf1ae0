"""WAL-G's backups, from files of the form that its source describes: WAL-G itself cannot be had here."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats.base_backups import wal_g
from exporter.datastores.backups.look import Memory
from exporter.errors import QueryError
from tests.support.backup_looks import NOW, look_at, problems
from tests.support.memory_place import MemoryFile, MemoryPlace

FULL = "base_000000010000000000000002"
DELTA = "base_000000010000000000000005_D_000000010000000000000002"
SECOND = "base_000000010000000000000008_D_000000010000000000000005"
FOLDER = "pg/basebackups_005/"


def sentinel(seconds_ago: float, parent: str | None = None, **keys: Any) -> dict[str, object]:
    begun, ended = (datetime.fromtimestamp(NOW - ago, UTC).isoformat() for ago in (seconds_ago, seconds_ago - 90))
    delta = {"DeltaFrom": parent, "DeltaFullName": FULL, "DeltaCount": 1, "DeltaLSN": 33554472} if parent else {}
    times = {"StartTime": begun, "FinishTime": ended, "Version": 2}
    return {"LSN": 33554472, "PgVersion": 160003, "CompressedSize": 1000, **delta, **times, **keys}


def backup(name: str, content: object) -> dict[str, MemoryFile]:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return {
        f"{FOLDER}{name}_backup_stop_sentinel.json": MemoryFile(text, NOW - 7000),
        f"{FOLDER}{name}/metadata.json": MemoryFile(b"{}", NOW - 7000),
        f"{FOLDER}{name}/tar_partitions/part_001.tar.lz4": MemoryFile(b"x" * 50, NOW - 7000),
        f"{FOLDER}{name}/tar_partitions/pg_control.tar.lz4": MemoryFile(b"x" * 5, NOW - 7000),
    }


def place_with(*parts: Mapping[str, MemoryFile]) -> MemoryPlace:
    return MemoryPlace({name: file for part in parts for name, file in part.items()})


async def backups_in(place: MemoryPlace, memory: Memory | None = None, **parts: Any) -> dict[str, Backup]:
    found = await wal_g.read(look_at(place, "pg/", "wal-g", memory, **parts))
    return {one.name: one for one in found.backups}


@pytest.fixture
def place() -> MemoryPlace:
    return place_with(
        backup(FULL, sentinel(8000)), backup(DELTA, sentinel(7500, FULL)), backup(SECOND, sentinel(7200, DELTA))
    )


async def test_read_sentinels_tell_times_sizes_and_segments(place: MemoryPlace) -> None:
    found = await backups_in(place)

    assert found[FULL] == Backup(FULL, NOW - 7910, 1000, seconds=90.0, start_segment="000000010000000000000002")
    assert (found[DELTA].bytes, found[SECOND].bytes) == (2000, 3000)
    assert problems(found.values()) == {FULL: None, DELTA: None, SECOND: None}


async def test_read_folder_of_base_backups_itself_is_the_same(place: MemoryPlace) -> None:
    direct = await wal_g.read(look_at(place, FOLDER, "wal-g"))

    assert {one.name: one for one in direct.backups} == await backups_in(place)


async def test_read_known_backups_are_listed_and_not_read_again(place: MemoryPlace) -> None:
    memory = Memory()
    first = await backups_in(place, memory)
    place.asked.clear()

    assert await backups_in(place, memory) == first
    assert {call for call, _ in place.asked} == {"list"}


async def test_read_missing_parent_breaks_all_that_builds_on_it(place: MemoryPlace) -> None:
    place.files = {name: file for name, file in place.files.items() if f"/{FULL}" not in name}

    found = await backups_in(place)

    assert found[DELTA].problem == Problem("broken_chain", f"it builds on {FULL}, which is not there")
    assert found[SECOND].problem == Problem("broken_chain", f"it builds on {FULL}, which is not there")


async def test_read_deltas_in_a_circle_are_broken() -> None:
    place = place_with(backup(DELTA, sentinel(7500, SECOND)), backup(SECOND, sentinel(7200, DELTA)))

    found = problems((await backups_in(place)).values())

    assert {problem and problem.reason for problem in found.values()} == {"broken_chain"}


@pytest.mark.parametrize("vanished", ["/tar_partitions/pg_control.tar.lz4", "/"])
async def test_read_backup_without_its_files_is_truncated(place: MemoryPlace, vanished: str) -> None:
    place.files = {name: file for name, file in place.files.items() if not name.startswith(f"{FOLDER}{FULL}{vanished}")}

    found = await backups_in(place)

    assert found[FULL].problem == Problem("truncated", "tar_partitions/pg_control.tar is not there")
    assert found[DELTA].problem == Problem("broken_chain", f"it builds on {FULL}, which is rejected: truncated")


async def test_read_backup_without_sentinel_is_being_written_and_then_truncated(place: MemoryPlace) -> None:
    del place.files[f"{FOLDER}{FULL}_backup_stop_sentinel.json"]
    young = NOW - 7000 + 60

    assert (await backups_in(place, now=young))[FULL].being_written
    assert (await backups_in(place))[FULL].problem == Problem("truncated", "it was never finished: it has no sentinel")


async def test_read_older_version_has_times_in_its_metadata(place: MemoryPlace) -> None:
    old = {"LSN": 33554472, "CompressedSize": 0}
    place.files |= backup(FULL, old)
    place.put(
        {
            f"{FOLDER}{FULL}/metadata.json": json.dumps(
                {"start_time": "2026-11-30T02:00:00Z", "finish_time": "2026-11-30T02:10:00.5Z"}
            ).encode()
        }
    )

    full = (await backups_in(place))[FULL]

    assert (full.time, full.seconds, full.problem) == (1796004600.5, 600.5, None)
    assert full.bytes > 55


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"null", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b'{"x": 1' + b"0" * 400 + b"}"],
    ids=["empty", "array", "cut", "null", "arrays", "objects", "no text", "large number"],
)
async def test_read_sentinel_that_is_garbage_is_a_format(place: MemoryPlace, content: bytes) -> None:
    place.files |= backup(FULL, content)

    found = await backups_in(place)

    assert found[FULL].problem == Problem("format", "its sentinel is no JSON object that can be read")
    assert found[DELTA].problem is not None


@pytest.mark.parametrize(
    "keys",
    [
        {"StartTime": 7, "FinishTime": [], "CompressedSize": "x", "DeltaFrom": 9},
        {"FinishTime": "0001-01-01T00:00:00Z", "CompressedSize": -5},
        {"CompressedSize": 10**299},
        {"StartTime": "9999-12-31T23:59:59Z"},
    ],
)
async def test_read_sentinel_with_odd_values_gives_a_backup(place: MemoryPlace, keys: Mapping[str, Any]) -> None:
    place.files |= backup(FULL, sentinel(8000) | dict(keys))

    full = (await backups_in(place))[FULL]

    assert full.bytes >= 0
    assert full.seconds is None or full.seconds >= 0


async def test_read_sentinel_too_large_is_believed_by_its_name(place: MemoryPlace) -> None:
    """Versions before 1.0 list all files in it."""
    place.files |= backup(DELTA, b'{"Files": "' + b"x" * 5 * 2**20 + b'"}')

    found = await backups_in(place)

    assert (found[DELTA].problem, found[DELTA].time) == (None, NOW - 7000)
    del place.files[f"{FOLDER}{FULL}_backup_stop_sentinel.json"]
    assert (await backups_in(place))[DELTA].problem == Problem(
        "broken_chain", f"it builds on {FULL}, which is not there"
    )


async def test_read_backup_of_the_future_is_a_clock(place: MemoryPlace) -> None:
    place.files |= backup(FULL, sentinel(-8000))

    full = (await backups_in(place))[FULL]

    assert full.problem is not None
    assert (full.problem.reason, full.time) == ("clock", NOW)


async def test_read_wildcards_are_unsupported(place: MemoryPlace) -> None:
    with pytest.raises(QueryError, match="without wildcards") as caught:
        await wal_g.read(look_at(place, "*/", "wal-g"))

    assert caught.value.reason == "unsupported"


async def test_read_empty_place_has_no_backups() -> None:
    assert await backups_in(MemoryPlace()) == {}


@pytest.mark.parametrize(
    ("ending", "head", "reason"),
    [
        ("lz4", b"\x04\x22\x4d\x18data", "unencrypted"),
        ("lz4", b"\x85\x01\x0c\x03data", None),
        ("zst", b"random bytes of libsodium", None),
        ("br", b"random bytes of brotli", "unencrypted"),
    ],
)
async def test_read_demanded_encryption_is_told_by_the_begin_of_an_archive(
    place: MemoryPlace, ending: str, head: bytes, reason: str | None
) -> None:
    folder = f"{FOLDER}{FULL}/tar_partitions/pg_control.tar."
    del place.files[f"{folder}lz4"]
    place.put({folder + ending: head}, NOW - 7000)
    look = look_at(place, "pg/", "wal-g")
    demanding = replace(look, chosen=look.chosen.model_copy(update={"encrypted": True}))

    found = {one.name: one.problem and one.problem.reason for one in (await wal_g.read(demanding)).backups}

    assert found[FULL] == reason
