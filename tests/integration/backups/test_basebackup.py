"""Base backups that a real pg_basebackup makes: plain, as tar archives, incremental, and what may happen to them."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats.base_backups import basebackup
from exporter.datastores.backups.look import Memory
from exporter.datastores.backups.places.file_place import FilePlace
from testkit.machine import clean_environment, run, temp_folder
from testkit.postgres import Postgres
from testkit.postgres_programs import VERSIONS, fetch
from testkit.session import Servers
from tests.support.backup_looks import look_at, problems

KINDS = {
    "plain": ("-Fp",),
    "tar": ("-Ft",),
    "gzip": ("-Ft", "-z"),
    "fetched": ("-Ft", "-X", "fetch"),
    "without-wal": ("-Fp", "-X", "none"),
}
NEWER_KINDS = {
    "zstd": ("-Ft", "--compress=server-zstd"),
    "lz4": ("-Ft", "--compress=server-lz4"),
    "unpacked": ("-Fp", "--compress=server-gzip"),
}


def make(server: Postgres, top: Path, name: str, *options: str) -> None:
    programs = fetch(server.version)
    command = [str(programs / "bin" / "pg_basebackup"), "--dbname", server.dsn(), "--pgdata", str(top / name)]
    environment = {"LD_LIBRARY_PATH": str(programs / "lib")}
    run([*command, "--checkpoint=fast", "--no-sync", *options], top, environment)


@pytest.fixture(scope="module")
def stage(servers: Servers) -> Path:
    """Return a folder with backups of PostgreSQL 18: of each kind, and incremental ones of the plain one."""
    top = temp_folder("basebackups")
    server = servers.private_postgres("18", {"summarize_wal": "on"})
    for name, options in (KINDS | NEWER_KINDS).items():
        make(server, top, name, *options)
    server.psql("SELECT pg_switch_wal()")
    make(server, top, "z-incremental", "-Fp", f"--incremental={top}/plain/backup_manifest")
    make(server, top, "z-incremental-tar", "-Ft", f"--incremental={top}/z-incremental/backup_manifest")
    server.stop()
    return top


@pytest.fixture
def copy(stage: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may damage."""
    return Path(shutil.copytree(stage, tmp_path / "copy", symlinks=True))


async def backups_in(top: Path, files: str = "*/", memory: Memory | None = None) -> dict[str, Backup]:
    look = look_at(FilePlace(top), files, "basebackup", memory, now=time.time())
    return {backup.name: backup for backup in (await basebackup.read(look)).backups}


async def problem_of(top: Path, name: str) -> Problem | None:
    return (await backups_in(top, f"{name}/"))[name].problem


async def test_read_backups_of_all_kinds_are_good(stage: Path) -> None:
    found = await backups_in(stage)

    assert problems(found.values()) == dict.fromkeys([*KINDS, *NEWER_KINDS, "z-incremental", "z-incremental-tar"])
    assert all(time.time() - 600 < backup.time <= time.time() for backup in found.values())
    assert len({backup.start_segment for backup in found.values()}) == len(found)
    assert found["z-incremental"].bytes > found["plain"].bytes


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "18"])
async def test_read_backups_of_each_version_are_good(servers: Servers, version: str) -> None:
    top, server = temp_folder("basebackups"), servers.postgres(version)
    for name in ("plain", "gzip"):
        make(server, top, name, *KINDS[name])

    found = await backups_in(top)

    assert problems(found.values()) == {"plain": None, "gzip": None}
    assert all(len(backup.start_segment) == 24 for backup in found.values())


async def test_read_start_segment_is_where_the_label_says(servers: Servers) -> None:
    """Of 64 MiB segments the position alone would tell another name."""
    top, server = temp_folder("basebackups"), servers.postgres("18")
    make(server, top, "plain")
    label = top / "plain" / "backup_label"
    label.write_text(label.read_text().replace("(file 0000000100000000000000", "(file 0000000100000000000001"))

    assert (await backups_in(top))["plain"].start_segment.startswith("0000000100000000000001")


async def test_read_missing_and_short_files_are_named(copy: Path) -> None:
    (copy / "plain/global/pg_control").write_bytes(b"x" * 100)
    (copy / "unpacked/PG_VERSION").unlink()
    (copy / "without-wal/PG_VERSION").write_text("18\n  ")

    assert await problem_of(copy, "plain") == Problem("truncated", "global/pg_control has 100 bytes instead of 8192")
    assert await problem_of(copy, "unpacked") == Problem("truncated", "PG_VERSION is not there")
    assert await problem_of(copy, "without-wal") == Problem("checksum", "PG_VERSION has 5 bytes instead of 3")


async def test_read_changed_manifest_does_not_match_its_checksum(copy: Path) -> None:
    for name, content in (("plain", b"1200"), ("tar", b""), ("gzip", b"{}")):
        manifest = copy / name / "backup_manifest"
        old = manifest.read_bytes()
        manifest.write_bytes({"plain": old.replace(b'"Size": 225', b'"Size": 226'), "tar": old[:-9]}.get(name, content))

    reasons = {name: (await problem_of(copy, name) or Problem("empty", "")).reason for name in ("plain", "tar", "gzip")}

    assert reasons == {"plain": "checksum", "tar": "checksum", "gzip": "format"}


@pytest.mark.parametrize(
    ("kind", "file"),
    [("tar", "base.tar"), ("gzip", "base.tar.gz"), ("lz4", "base.tar.lz4"), ("zstd", "base.tar.zst")],
)
async def test_read_archive_cut_anywhere_is_truncated(copy: Path, kind: str, file: str) -> None:
    archive = copy / kind / file
    whole = archive.read_bytes()
    for percent in range(1, 100, 7):
        archive.write_bytes(whole[: len(whole) * percent // 100])
        problem = await problem_of(copy, kind)
        assert problem is not None, percent
        assert problem.reason == "truncated"


async def test_read_archive_that_is_not_there_is_named(copy: Path) -> None:
    (copy / "zstd/base.tar.zst").unlink()

    assert await problem_of(copy, "zstd") == Problem("truncated", "base.tar is not there")


async def test_read_incremental_without_what_it_builds_on_is_broken(copy: Path) -> None:
    shutil.rmtree(copy / "plain")

    found = await backups_in(copy, "z-*/")

    chain = found["z-incremental"].problem
    assert chain is not None
    assert chain.reason == "broken_chain"
    assert "a backup that began at 0/" in chain.detail
    assert (found["z-incremental-tar"].problem or chain)[0] == "broken_chain"


async def test_read_file_that_vanishes_later_is_seen_within_a_day(copy: Path) -> None:
    memory = Memory()
    assert (await backups_in(copy, memory=memory))["plain"].problem is None
    (copy / "plain/PG_VERSION").unlink()
    assert (await backups_in(copy, memory=memory))["plain"].problem is None
    look = look_at(FilePlace(copy), "*/", "basebackup", memory, now=time.time() + 90_000)

    found = {backup.name: backup.problem for backup in (await basebackup.read(look)).backups}

    assert found["plain"] == Problem("truncated", "PG_VERSION is not there")


async def test_read_backup_that_was_killed_is_being_written_and_then_truncated(servers: Servers) -> None:
    top = temp_folder("basebackups")
    kill(servers.postgres("18"), top / "killed")

    running = (await backups_in(top))["killed"]
    later = look_at(FilePlace(top), "*/", "basebackup", now=time.time() + 3700)
    [killed] = (await basebackup.read(later)).backups

    assert (running.being_written, running.problem) == (True, None)
    assert killed.problem is not None
    assert killed.problem.reason == "truncated"
    assert killed.problem.detail.startswith("backup_manifest is not there")


def kill(server: Postgres, folder: Path) -> None:
    """Begin a slow backup, and kill it as soon as it has written something."""
    programs = fetch(server.version)
    command = [str(programs / "bin/pg_basebackup"), "--dbname", server.dsn(), "--pgdata", str(folder), "-X", "none"]
    environment = clean_environment(folder.parent) | {"LD_LIBRARY_PATH": str(programs / "lib")}
    with subprocess.Popen([*command, "--checkpoint=fast", "--max-rate=32k"], env=environment) as started:
        deadline = time.monotonic() + 30
        while not (folder.exists() and any(folder.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.02)
        started.kill()
