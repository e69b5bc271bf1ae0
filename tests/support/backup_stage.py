"""Places of backups as docs/how-to/backups.md shows them: real dumps of real servers, with the history it asks for."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml
from minio import Minio as Client
from minio.sse import SseS3

from testkit.machine import run
from testkit.minio import Minio
from testkit.postgres import Postgres
from testkit.postgres_programs import fetch
from tests.support.documented import pieces
from tests.support.minio_admin import s3

PAGE = "how-to/backups.md"
KMS = {"MINIO_KMS_SECRET_KEY": "datatier:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}  # to store objects encrypted
HISTORY = {"daily": (timedelta(days=1), 32), "weekly": (timedelta(days=7), 14), "monthly": (timedelta(days=30.4), 90)}
_AGE = timedelta(hours=1)  # of the newest backup
_STAMP = "%Y%m%d_%H%MZ"

Target = dict[str, Any]


def documented(steps: int = 6) -> list[Target]:
    """Return the targets of the page's reader after so many of its steps."""
    first, daily, others, search, vault, reports, offsite = (
        yaml.safe_load(dedent(piece)) for piece in pieces(PAGE, "yaml")
    )
    orders, nas = first["targets"]
    if steps >= 2:
        nas["sets"] = daily
    if steps >= 3:
        nas["sets"] += others
    targets = [orders, nas, *(search if steps >= 3 else [])]
    if steps >= 4:
        targets += vault
    if steps >= 5:
        vault[0]["sets"] += reports
    return targets + (offsite if steps >= 6 else [])


def history(pattern: str, tier: str) -> Iterator[tuple[str, datetime]]:
    """Yield names of backups and when they were made, the newest first; `pattern` has a place for the time."""
    every, count = HISTORY[tier]
    for number in range(count):
        moment = datetime.now(UTC) - _AGE - number * every
        yield pattern.format(moment.strftime(_STAMP)), moment


def dump(server: Postgres, file: Path, *options: str, program: str = "pg_dump") -> Path:
    """Dump the database `app` with the server's own program."""
    programs = fetch(server.version)
    source = [] if program == "pg_dumpall" else [server.dsn("app")]
    login = ["-d", server.dsn()] if program == "pg_dumpall" else []
    command = [str(programs / "bin" / program), *options, *login, "-f", str(file), *source]
    run(command, file.parent, {"LD_LIBRARY_PATH": str(programs / "lib")})
    return file


def fill_folder(folder: Path, made: Path, pattern: str, tier: str = "daily") -> None:
    """Put copies of a backup into a folder, as if one had been made each day."""
    for name, moment in history(pattern, tier):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, place)
        os.utime(place, (moment.timestamp(), moment.timestamp()))


def upload(client: Client, bucket: str, folder: Path, prefix: str = "", *, encrypted: bool = False) -> None:
    """Put all files below a folder into a bucket; the server says that all were modified now."""
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            name = f"{prefix}{file.relative_to(folder)}"
            client.fput_object(bucket, name, str(file), sse=SseS3() if encrypted else None)


def report(folder: Path, name: str, **said: object) -> Path:
    """Write the report of a job that ended an hour ago; `said` changes it."""
    finished = (datetime.now(UTC) - _AGE).isoformat()
    body = {"ok": True, "finished": finished, "seconds": 512, "source": "apex.dump", "message": "412 rows", **said}
    file = folder / name
    file.write_text(json.dumps(body))
    return file


def vault_client(server: Minio, *buckets: str) -> Client:
    """Return a client of a server that has these buckets."""
    client = s3(server)
    for bucket in buckets:
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
    return client
