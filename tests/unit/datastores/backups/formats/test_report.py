import json
import time

import pytest

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats import report
from exporter.datastores.backups.look import Found, Look, Memory
from exporter.errors import QueryError
from tests.support.memory_place import MemoryFile, MemoryPlace

FINISHED = 1796004840.0  # 2026-11-30T02:14:00Z
NOW = FINISHED + 3600
NAME = "reports/restore.json"


class Scene:
    """A place with reports, and what is kept between looks."""

    def __init__(self, files: str = NAME) -> None:
        self.place = MemoryPlace()
        self._memory = Memory()
        self._chosen = BackupSet.model_validate(
            {"name": "restore-test", "of": "orders", "files": files, "format": "report", "every": "7d"}
        )

    def put(self, content: bytes, name: str = NAME, modified: float = FINISHED) -> None:
        self.place.files[name] = MemoryFile(content, modified)

    async def read(self, now: float = NOW) -> Found:
        return await report.read(Look(self.place, self._chosen, self._memory, now, time.monotonic() + 60))

    async def one(self, now: float = NOW) -> Backup:
        (backup,) = (await self.read(now)).backups
        return backup


def said(**changes: object) -> bytes:
    return json.dumps({"ok": True, "finished": "2026-11-30T02:14:00Z", "seconds": 512, **changes}).encode()


async def test_read_report_is_a_backup_of_when_the_job_finished() -> None:
    scene = Scene()
    scene.put(said(), modified=FINISHED + 9)

    assert await scene.one() == Backup(NAME, FINISHED, len(said()), seconds=512.0)


async def test_read_job_that_failed_says_why() -> None:
    scene = Scene()
    scene.put(said(ok=False, message="pg_restore: error: disk full"))

    assert (await scene.one()).problem == Problem("failed", "pg_restore: error: disk full")


async def test_read_report_of_the_future_is_a_clock_that_is_wrong() -> None:
    scene = Scene()
    scene.put(said(finished=NOW + 7200))

    backup = await scene.one()

    assert backup.problem == Problem("clock", "dated 2 h in the future")
    assert backup.time == FINISHED
    assert (await scene.one(NOW + 7200)).problem is None


async def test_read_clock_a_little_ahead_is_no_problem() -> None:
    scene = Scene()
    scene.put(said(finished=NOW + 60))

    assert await scene.one() == Backup(NAME, NOW + 60, len(said(finished=NOW + 60)), seconds=512.0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (said(ok="yes"), Problem("format", "ok must be true or false")),
        (b'{"ok": tr', Problem("format", "no JSON that can be read")),
        (b"", Problem("empty", "it is empty")),
        (b"{" * 70_000, Problem("format", "larger than 64 KiB")),
    ],
)
async def test_read_report_of_no_use_is_rejected(content: bytes, problem: Problem) -> None:
    scene = Scene()
    scene.put(content)

    assert await scene.one() == Backup(NAME, FINISHED, len(content), problem)


async def test_read_huge_report_is_not_fetched() -> None:
    scene = Scene()
    scene.place.files[NAME] = MemoryFile(b"{", FINISHED, bytes=2**40)
    await scene.one()

    assert [call for call, _ in scene.place.asked] == ["list"]


@pytest.mark.parametrize("content", [b"", b'{"ok": tr'])
async def test_read_young_report_that_is_no_json_is_being_written(content: bytes) -> None:
    scene = Scene()
    scene.put(content, modified=NOW - 60)

    assert await scene.one() == Backup(NAME, NOW - 60, len(content), being_written=True)
    assert (await scene.one(NOW + 100)).problem is not None


async def test_read_report_in_a_bucket_is_never_half_written() -> None:
    scene = Scene()
    scene.place.shows_whole = True
    scene.put(b'{"ok": tr', modified=NOW - 1)

    assert (await scene.one()).problem == Problem("format", "no JSON that can be read")


async def test_read_report_that_is_written_anew_says_what_it_said_before() -> None:
    scene = Scene()
    scene.put(said())
    before = await scene.one()
    scene.put(b'{"ok": ', modified=NOW - 1)

    assert await scene.one() == before
    assert await scene.one(NOW + 60) == before
    assert (await scene.one(NOW + 300)).problem == Problem("format", "no JSON that can be read")
    scene.put(said(finished=NOW), modified=NOW + 2)
    assert (await scene.one()).time == NOW


async def test_read_report_is_fetched_once_until_it_changes() -> None:
    scene = Scene()
    scene.put(said())
    for _ in range(3):
        await scene.one()
    scene.put(said(seconds=9))

    assert (await scene.one()).seconds == 9.0
    assert [call for call, _ in scene.place.asked].count("read") == 2


async def test_read_several_reports_are_told_apart() -> None:
    scene = Scene("reports/restore-*.json")
    scene.put(said(), "reports/restore-1.json")
    scene.put(said(ok=False), "reports/restore-2.json")
    scene.put(said(), "reports/failover.json")

    backups = (await scene.read()).backups

    assert {backup.name: backup.good for backup in backups} == {
        "reports/restore-1.json": True,
        "reports/restore-2.json": False,
    }


async def test_read_many_reports_looks_at_the_newest() -> None:
    scene = Scene("reports/*")
    for number in range(500):
        scene.put(said(finished=FINISHED + number), f"reports/{number}.json", FINISHED + number)

    backups = (await scene.read()).backups

    assert len(backups) == 100
    assert min(backup.time for backup in backups) == FINISHED + 400


async def test_read_report_that_vanished_since_it_was_listed_is_none() -> None:
    class Vanishing(MemoryPlace):
        async def read(self, name: str, start: int, length: int) -> bytes:
            self.files.clear()
            return await super().read(name, start, length)

    scene = Scene()
    scene.place = Vanishing()
    scene.put(said())

    assert (await scene.read()).backups == []


async def test_read_report_that_may_not_be_read_is_the_failure_of_the_set() -> None:
    class Denying(MemoryPlace):
        async def read(self, name: str, start: int, length: int) -> bytes:  # noqa: ARG002 - a place's signature
            raise QueryError("privilege", f"read {name}: permission denied")

    scene = Scene()
    scene.place = Denying()
    scene.put(said())

    with pytest.raises(QueryError, match="permission denied"):
        await scene.read()
