"""A repository of a real pgBackRest: its backups, chains and archive, and what goes wrong with them."""

import shutil
import time
from pathlib import Path
from uuid import uuid4

import pytest

from exporter.config.stores.backups import BackupsTarget
from exporter.datastores.backup_sets.backup import Backup, Problem, WalArchive
from exporter.datastores.backups.formats import wal
from exporter.datastores.backups.formats.base_backups import pgbackrest
from exporter.datastores.backups.look import Memory
from exporter.datastores.backups.places.file_place import FilePlace
from exporter.datastores.backups.places.opened_place import open_place
from testkit.minio import Minio
from testkit.pgbackrest import Pgbackrest
from testkit.session import Servers
from tests.support.backup_looks import look_at, problems
from tests.support.collect import target_of
from tests.support.minio_admin import s3

BACKUPS = "backup/demo/"
ARCHIVE = "archive/demo/"


@pytest.fixture(scope="module")
def tool(servers: Servers) -> Pgbackrest:
    """Return a repository with a full, a differential and an incremental backup, and WAL before and after each."""
    tool = servers.private_pgbackrest({"repo1-retention-full": "2"})
    for kind in ("full", "diff", "incr"):
        tool.switch(2)
        tool.backup(kind)
    tool.switch(3)
    return tool


@pytest.fixture
def repository(tool: Pgbackrest, tmp_path: Path) -> Path:
    """Return a copy of the repository that a test may damage."""
    return Path(shutil.copytree(tool.repository, tmp_path / "repository", symlinks=True))


async def backups_in(repository: Path, memory: Memory | None = None, *, now: float | None = None) -> list[Backup]:
    look = look_at(FilePlace(repository), BACKUPS, "pgbackrest", memory, now=now or time.time())
    return sorted((await pgbackrest.read(look)).backups, key=lambda backup: backup.time)


async def archive_in(repository: Path, memory: Memory | None = None, *, later: float = 600) -> WalArchive:
    """Look at the archive, some minutes later: a hole before young segments is not there yet."""
    now = time.time() + later
    look = look_at(FilePlace(repository), ARCHIVE, "wal", memory, now=now, bases=await backups_in(repository))
    found = (await wal.read(look)).wal
    assert found is not None
    return found


def segments(repository: Path) -> list[Path]:
    return sorted(path for path in repository.glob(f"{ARCHIVE}*/*/*-*") if path.is_file())


async def test_read_backups_are_those_that_pgbackrest_tells(tool: Pgbackrest) -> None:
    before = time.time()
    full, diff, incr = await backups_in(tool.repository)

    assert {backup.problem for backup in (full, diff, incr)} == {None}
    assert [backup.name[-1] for backup in (full, diff, incr)] == ["F", "D", "I"]
    assert full.time <= diff.time <= incr.time <= before
    assert full.bytes <= incr.bytes < 1.5 * full.bytes
    assert [backup.seconds is not None and 0 <= backup.seconds < 60 for backup in (full, diff, incr)] == [True] * 3
    assert f"full backup: {full.name}" in tool.call("info")


async def test_read_wal_archive_is_unbroken_from_the_first_backup_on(tool: Pgbackrest) -> None:
    full = (await backups_in(tool.repository))[0]

    found = await archive_in(tool.repository)

    assert (found.gaps, found.recoverable_from) == (0, full.time)
    assert found.segments == len(segments(tool.repository))
    assert found.recoverable_until == pytest.approx(segments(tool.repository)[-1].stat().st_mtime, abs=1e-3)


async def test_read_wal_deleted_segment_is_named_at_the_next_look(repository: Path) -> None:
    memory = Memory()
    assert (await archive_in(repository, memory)).gaps == 0
    victim = segments(repository)[-2]
    victim.unlink()

    found = await archive_in(repository, memory)

    assert (found.gaps, found.missing) == (1, (victim.name[:24],))
    assert found.recoverable_until == pytest.approx(segments(repository)[-2].stat().st_mtime, abs=1e-3)


async def test_read_vanished_full_backup_breaks_what_builds_on_it(repository: Path) -> None:
    full, diff, incr = await backups_in(repository)
    shutil.rmtree(repository / BACKUPS / full.name)

    chain = Problem("broken_chain", f"it builds on {full.name}, which is rejected: truncated")
    assert problems(await backups_in(repository)) == {
        full.name: Problem("truncated", "its folder is not there"),
        diff.name: chain,
        incr.name: chain,
    }


async def test_read_damaged_info_is_replaced_by_its_copy(repository: Path) -> None:
    whole = await backups_in(repository)
    info, copy = repository / BACKUPS / "backup.info", repository / BACKUPS / "backup.info.copy"
    info.write_bytes(info.read_bytes()[:700])

    assert await backups_in(repository) == whole
    info.unlink()
    assert await backups_in(repository) == whole
    copy.write_text(copy.read_text().replace('"full"', '"diff"'))
    assert {backup.problem and backup.problem.reason for backup in await backups_in(repository)} == {"checksum"}
    copy.unlink()
    assert {backup.problem and backup.problem.reason for backup in await backups_in(repository)} == {"unreadable"}


async def test_read_backup_that_was_killed_is_truncated_later(repository: Path) -> None:
    full = (await backups_in(repository))[0]
    unfinished = repository / BACKUPS / "20260101-000000F"
    unfinished.mkdir()
    shutil.copy(repository / BACKUPS / full.name / "backup.manifest", unfinished / "backup.manifest.copy")

    running = next(one for one in await backups_in(repository) if one.name == unfinished.name)
    killed = next(one for one in await backups_in(repository, now=time.time() + 7200) if one.name == unfinished.name)

    assert (running.being_written, running.problem) == (True, None)
    assert (killed.being_written, killed.problem and killed.problem.reason) == (False, "truncated")


async def test_read_after_expiry_nothing_is_missing(tool: Pgbackrest) -> None:
    """Two more full backups expire the first one with all that builds on it, and its WAL."""
    memory = Memory()
    await archive_in(tool.repository, memory)
    for _ in range(2):
        tool.backup("full")
        tool.switch(1)

    found = await archive_in(tool.repository, memory)
    backups = await backups_in(tool.repository)

    assert [(backup.name[-1], backup.problem) for backup in backups] == [("F", None), ("F", None)]
    assert (found.gaps, found.recoverable_from) == (0, backups[0].time)


def upload(server: Minio, bucket: str, repository: Path) -> None:
    client = s3(server)
    client.make_bucket(bucket_name=bucket)
    catalogue = [*repository.glob(f"{BACKUPS}backup.info*"), *repository.glob(f"{BACKUPS}2*/backup.manifest")]
    for path in [*catalogue, *segments(repository)]:
        name = str(path.relative_to(repository))
        client.fput_object(bucket_name=bucket, object_name=name, file_path=str(path))


async def test_read_repository_in_a_bucket_is_the_same(servers: Servers, repository: Path) -> None:
    """The files that tell of backups, and the archive: what else a backup has is not looked at."""
    server, bucket = servers.minio(), f"repository-{uuid4().hex}"
    upload(server, bucket, repository)
    here = await backups_in(repository)
    sets = [{"name": "base", "of": "orders", "files": BACKUPS, "format": "pgbackrest", "every": "1d"}]
    written = {"store": "backups", "name": "vault", "url": f"s3://objects/{bucket}", "sets": sets}
    target = BackupsTarget.model_validate(written).linked({"objects": target_of(server.target("objects"))})
    place, memory = open_place(target), Memory()

    there = (await pgbackrest.read(look_at(place, BACKUPS, "pgbackrest", now=time.time()))).backups
    looks = look_at(place, ARCHIVE, "wal", memory, now=time.time() + 600, bases=here)
    before = (await wal.read(looks)).wal
    victim = segments(repository)[-3]
    s3(server).remove_object(bucket_name=bucket, object_name=str(victim.relative_to(repository)))
    after = (await wal.read(looks)).wal
    await place.close()

    assert sorted(there, key=lambda backup: backup.time) == here
    assert before is not None
    assert after is not None
    assert (before.gaps, after.gaps, after.missing) == (0, 1, (victim.name[:24],))


async def test_read_encrypted_repository_knows_its_labels(servers: Servers) -> None:
    tool = servers.private_pgbackrest({"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "throw-away"})
    tool.backup("full")

    [backup] = await backups_in(tool.repository)
    found = await archive_in(tool.repository)

    assert (backup.problem, backup.seconds, backup.start_segment) == (None, None, "")
    assert backup.bytes > 1e6
    assert found.gaps == 0
    assert found.recoverable_until is not None
