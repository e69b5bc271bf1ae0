"""Backups and WAL of a real Barman, with an incremental one."""

import shutil
import time
from pathlib import Path

import pytest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats import wal
from exporter.datastores.backups.formats.base_backups import barman
from exporter.datastores.backups.places.file_place import FilePlace
from testkit.barman import Barman
from testkit.machine import CommandError
from testkit.postgres_programs import fetch
from testkit.session import Servers
from tests.support.backup_looks import look_at, problems


@pytest.fixture(scope="module")
def tool(servers: Servers) -> Barman:
    tool = servers.private_barman()
    tool.backup()
    tool.switch(2)
    tool.backup("--incremental", "last")
    tool.switch(2)
    return tool


@pytest.fixture
def home(tool: Barman, tmp_path: Path) -> Path:
    """Return a copy of Barman's folder that a test may damage."""
    return Path(shutil.copytree(tool.home, tmp_path / "home", symlinks=True))


async def backups_in(home: Path, files: str = "demo/") -> list[Backup]:
    found = await barman.read(look_at(FilePlace(home), files, "barman", now=time.time()))
    return sorted(found.backups, key=lambda backup: backup.time)


def segments(home: Path) -> list[Path]:
    return sorted(path for path in home.glob("demo/wals/*/*") if len(path.name) == 24)


async def test_read_backups_are_those_that_barman_lists(tool: Barman) -> None:
    full, delta = await backups_in(tool.home)

    assert (full.problem, delta.problem) == (None, None)
    assert full.bytes < delta.bytes < 2 * full.bytes
    assert [full.start_segment < delta.start_segment, full.time < delta.time <= time.time()] == [True, True]
    assert full.seconds is not None
    assert full.name in tool.call("list-backups", "demo")
    assert await backups_in(tool.home, "demo/base/") == [full, delta]


async def test_read_wal_of_barman_is_unbroken_and_a_deleted_segment_is_named(home: Path) -> None:
    bases = await backups_in(home)
    look = look_at(FilePlace(home), "demo/wals/", "wal", now=time.time() + 600, bases=bases)
    before = (await wal.read(look)).wal
    victim = segments(home)[-2]
    victim.unlink()

    after = (await wal.read(look)).wal

    assert before is not None
    assert after is not None
    assert (before.gaps, before.recoverable_from) == (0, bases[0].time)
    assert (after.gaps, after.missing) == (1, (victim.name,))


async def test_read_vanished_parent_breaks_the_incremental_backup(home: Path) -> None:
    full, delta = await backups_in(home)
    shutil.rmtree(home / "demo/base" / full.name)

    assert problems(await backups_in(home)) == {
        full.name: Problem("truncated", "its files are not there"),
        delta.name: Problem("broken_chain", f"it builds on {full.name}, which is rejected: truncated"),
    }


async def test_read_backup_that_failed_says_why(tool: Barman) -> None:
    """A pg_basebackup that knows its version and then fails, as on a full disk."""
    program = tool.folder / "pg_basebackup"
    real = fetch(tool.server.version) / "bin" / "pg_basebackup"
    program.write_text(f'#!/bin/sh\ncase "$*" in *--version*) exec {real} "$@";; esac\nexit 1\n')
    program.chmod(0o755)

    with pytest.raises(CommandError):
        tool.backup(programs=tool.folder)
    failed = (await backups_in(tool.home))[-1]

    assert failed.problem is not None
    assert failed.problem.reason == "failed"
    assert failed.problem.detail.startswith("Barman says: failure copying files")
