"""Backups of the live stage: a place beside the first PostgreSQL, filled by its own programs."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from testkit.machine import hand_over, run
from testkit.postgres import Postgres
from testkit.postgres_programs import fetch

# The server's working folder is its data folder; it creates its neighbour, so it may write there.
ARCHIVE_COMMAND = "mkdir -p ../archive && cp %p ../archive/%f"
_DAYS = 4
_HOUR = timedelta(hours=1)
# What comes every hour is looked at every minute; a test does not wait for longer.
_SETS: list[dict[str, object]] = [
    {"name": "dumps", "files": "dumps/*.dump", "format": "pg_dump", "every": "1h", "keep": {"daily": 3}},
    {"name": "copied", "files": "copied/*.dump", "copy_of": "nas/dumps", "every": "1h"},
    {"name": "base", "files": "base/*/", "format": "basebackup", "every": "7d"},
    {"name": "archive", "files": "archive/", "format": "wal", "every": "5m", "base": "base"},
    {"name": "restore-test", "files": "reports/restore.json", "format": "report", "every": "1h", "duration": "15m"},
]


def place_of(primary: Postgres, of: str) -> dict[str, object]:
    """Make backups of a server and return the target of the place where they lie."""
    folder = primary.folder
    for name in ("dumps", "copied", "base", "reports"):
        (folder / name).mkdir()
        hand_over(folder / name)
    _program(primary, "pg_dump", "-Fc", "-f", str(folder / "app.dump"), primary.dsn("app"))
    for days in range(_DAYS):
        _put(folder / "app.dump", folder / "dumps", timedelta(days=days) + _HOUR)
        _put(folder / "app.dump", folder / "copied", timedelta(days=days) + _HOUR)
    made = folder / "base" / f"{datetime.now(UTC):%Y%m%d_%H%MZ}"
    options = ("--format=tar", "--checkpoint=fast", "--no-sync", "--dbname", primary.dsn())
    _program(primary, "pg_basebackup", *options, "--pgdata", str(made))
    for number in range(4):
        primary.psql(f"CREATE TABLE archived_{number} (); SELECT pg_switch_wal()")
    report(folder, ok=True)
    sets = [{**one, "of": of} for one in _SETS]
    return {"name": "nas", "store": "backups", "url": f"file://{folder}", "sets": sets}


def report(folder: Path, *, ok: bool) -> None:
    """Write what a test of a restore reports."""
    finished = (datetime.now(UTC) - _HOUR).isoformat()
    said = {"ok": ok, "finished": finished, "seconds": 512, "source": "app.dump", "message": "412 rows"}
    (folder / "reports" / "restore.json").write_text(json.dumps(said))


@contextmanager
def spoiled(folder: Path) -> Iterator[None]:
    """Cut the newest dump off, lose a segment of WAL, and let the test of a restore fail."""
    cut = _put(folder / "app.dump", folder / "dumps", _HOUR / 2)
    moment = cut.stat().st_mtime
    os.truncate(cut, cut.stat().st_size // 2)
    os.utime(cut, (moment, moment))
    lost = sorted((folder / "archive").glob("[0-9A-F]*[0-9A-F]"))[-2]
    lost.rename(folder / lost.name)
    report(folder, ok=False)
    yield
    cut.unlink()
    (folder / lost.name).rename(lost)
    report(folder, ok=True)


def _put(made: Path, folder: Path, age: timedelta) -> Path:
    """Put a dump into a folder as if it had been made so long ago."""
    moment = datetime.now(UTC) - age
    place = folder / f"app_{moment:%Y%m%d_%H%MZ}.dump"
    shutil.copyfile(made, place)
    os.utime(place, (moment.timestamp(), moment.timestamp()))
    return place


def _program(server: Postgres, name: str, *arguments: str) -> None:
    programs = fetch(server.version)
    run([str(programs / "bin" / name), *arguments], server.folder, {"LD_LIBRARY_PATH": str(programs / "lib")})
