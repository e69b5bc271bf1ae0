"""What a hostile or broken backup.info of Barman is taken for; other tests try the tool itself."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats.base_backups import barman
from exporter.datastores.backups.look import Memory
from exporter.errors import QueryError
from tests.support.backup_looks import NOW, look_at, problems
from tests.support.memory_place import MemoryFile, MemoryPlace

OLD, NEW, CHILD = "20270113T010000", "20270114T010000", "20270114T020000"


def info(**keys: object) -> bytes:
    begun, ended = (datetime.fromtimestamp(NOW - ago, UTC).isoformat(" ") for ago in (9000, 8000))
    known = {
        "begin_time": begun,
        "begin_wal": "000000010000000000000003",
        "end_time": ended,
        "error": "None",
        "parent_backup_id": "None",
        "size": 500,
        "status": "DONE",
    } | keys
    return "".join(f"{key}={value}\n" for key, value in known.items()).encode()


def place_with(infos: Mapping[str, bytes], meta: str = "srv/meta/{}-backup.info") -> MemoryPlace:
    place = MemoryPlace()
    place.put({meta.format(name): content for name, content in infos.items()}, NOW - 8000)
    place.put({f"srv/base/{name}/data/PG_VERSION": b"18" for name in infos}, NOW - 8000)
    return place


async def backups_in(place: MemoryPlace, memory: Memory | None = None, **parts: Any) -> dict[str, Backup]:
    return {one.name: one for one in (await barman.read(look_at(place, "srv/", "barman", memory, **parts))).backups}


@pytest.mark.parametrize("meta", ["srv/meta/{}-backup.info", "srv/base/{}/backup.info"], ids=["newer", "older"])
async def test_read_backup_wherever_its_info_lies(meta: str) -> None:
    found = await backups_in(place_with({NEW: info()}, meta))

    assert found == {NEW: Backup(NEW, NOW - 8000, 500, seconds=1000, start_segment="000000010000000000000003")}


async def test_read_backup_in_a_bucket_is_an_archive() -> None:
    place = MemoryPlace()
    place.put({f"srv/base/{NEW}/backup.info": info(), f"srv/base/{NEW}/data.tar.gz": b"x"}, NOW)

    assert problems((await backups_in(place)).values()) == {NEW: None}


async def test_read_children_need_their_parents() -> None:
    infos = {NEW: info(), CHILD: info(parent_backup_id=NEW, size=30), OLD: info(parent_backup_id="20200101T000000")}

    found = await backups_in(place_with(infos))

    assert found[CHILD].bytes == 530
    assert found[OLD].problem == Problem("broken_chain", "it builds on 20200101T000000, which is not there")
    assert problems([found[NEW], found[CHILD]]) == {NEW: None, CHILD: None}


async def test_read_parents_in_a_circle_are_broken() -> None:
    infos = {NEW: info(parent_backup_id=CHILD), CHILD: info(parent_backup_id=NEW)}

    found = problems((await backups_in(place_with(infos))).values())

    assert {problem and problem.reason for problem in found.values()} == {"broken_chain"}


@pytest.mark.parametrize("status", ["EMPTY", "STARTED", "SYNCING", "WAITING_FOR_WALS"])
async def test_read_unfinished_backup_is_being_written_and_then_truncated(status: str) -> None:
    place = place_with({NEW: info(status=status, end_time="None")})

    young, later = [(await backups_in(place, now=now))[NEW] for now in (NOW - 7000, NOW)]

    assert (young.being_written, young.problem) == (True, None)
    assert later.problem == Problem("truncated", f"it was never finished: status {status}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            info(status="FAILED", error="no space\x1b[31m left"),
            Problem("failed", "Barman says: no space\\x1b[31m left"),
        ),
        (info(status="SOLVED"), Problem("format", "backup.info has the status SOLVED")),
        (b"", Problem("truncated", "backup.info is not there")),
        (b"\xff" * 900, Problem("format", "backup.info has the status of none")),
        (b"=\n" * 9000, Problem("format", "backup.info has the status of none")),
    ],
    ids=["failed", "unknown", "empty", "no text", "no keys"],
)
async def test_read_info_that_is_not_done_is_rejected(content: bytes, problem: Problem) -> None:
    assert (await backups_in(place_with({OLD: content})))[OLD].problem == problem


@pytest.mark.parametrize(
    "keys",
    [
        {"size": "x"},
        {"size": -1},
        {"size": "9" * 5000},
        {"begin_time": "x", "end_time": "0001-01-01 00:00:00+23:59"},
        {"begin_wal": "../../x"},
        {"begin_wal": "None", "begin_time": "9999-12-31 00:00:00+00:00"},
    ],
)
async def test_read_info_with_odd_values_gives_a_backup(keys: Mapping[str, Any]) -> None:
    found = (await backups_in(place_with({OLD: info(**keys)})))[OLD]

    assert found.bytes in {0, 500}
    assert found.start_segment in {"", "000000010000000000000003"}
    assert found.seconds is None or found.seconds >= 0


async def test_read_known_backups_are_listed_and_not_read_again() -> None:
    place, memory = place_with({NEW: info(), OLD: info()}), Memory()
    first = await backups_in(place, memory)
    place.asked.clear()

    assert await backups_in(place, memory) == first
    assert {call for call, _ in place.asked} == {"list"}
    place.files = {name: file for name, file in place.files.items() if f"base/{OLD}" not in name}
    assert (await backups_in(place, memory))[OLD].problem == Problem("truncated", "its files are not there")


async def test_read_backup_of_the_future_is_a_clock() -> None:
    late = datetime.fromtimestamp(NOW + 8000, UTC).isoformat(" ")

    found = (await backups_in(place_with({OLD: info(end_time=late)})))[OLD]

    assert found.problem is not None
    assert (found.problem.reason, found.time) == ("clock", NOW)


async def test_read_info_larger_than_its_bound_is_a_limit() -> None:
    place = place_with({OLD: info()})
    place.files[f"srv/meta/{OLD}-backup.info"] = MemoryFile(b"x" * (2**20 + 1), NOW)

    with pytest.raises(QueryError) as caught:
        await backups_in(place)

    assert caught.value.reason == "limit"


async def test_read_empty_place_has_no_backups() -> None:
    assert await backups_in(MemoryPlace()) == {}
