"""Places of backups as docs/how-to/backups.md shows them: real dumps of real servers, with the history it asks for."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any, Self

import httpx
import yaml
from minio import Minio as Client
from minio.sse import SseS3

from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.pgbackrest import Pgbackrest
from testkit.postgres import PASSWORDS, Postgres
from testkit.postgres_programs import fetch
from testkit.qdrant import Qdrant
from tests.support.documented import pieces
from tests.support.minio_admin import s3

PAGE = "how-to/backups.md"
STEPS = 6
KMS = {"MINIO_KMS_SECRET_KEY": "datatier:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}  # to store objects encrypted
HISTORY = {"daily": (timedelta(days=1), 32), "weekly": (timedelta(days=7), 14), "monthly": (timedelta(days=30.4), 90)}
_AGE = timedelta(hours=1)  # of the newest backup
_STAMP = "%Y%m%d_%H%MZ"

Target = dict[str, Any]


def documented(steps: int = STEPS) -> list[Target]:
    """Return the targets of the page's reader after so many of its steps."""
    first, daily, others, search, vault, reports, offsite = (
        yaml.safe_load(dedent(piece)) for piece in pieces(PAGE, "yaml")
    )
    orders, nas = first["targets"]
    after = [[orders, nas], [], search, vault, [], offsite]
    if steps > 1:
        nas["sets"] = daily + (others if steps > 2 else [])
    if steps > 4:
        vault[0]["sets"] += reports
    return [target for added in after[:steps] for target in added]


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
    subprocess.run(command, check=True, env=_environment(server))
    return file


def _environment(server: Postgres) -> dict[str, str]:
    return {"LD_LIBRARY_PATH": str(fetch(server.version) / "lib"), "PGPASSWORD": PASSWORDS["postgres"]}


def fill_folder(folder: Path, made: Path, pattern: str, tier: str = "daily") -> None:
    """Put copies of a backup into a folder, as if one had been made each day."""
    for name, moment in history(pattern, tier):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, place)
        os.utime(place, (moment.timestamp(), moment.timestamp()))


def piped(server: Postgres, file: Path) -> Path:
    """Dump into a pipe, where pg_dump cannot go back to write down where its data begin."""
    programs = fetch(server.version)
    with file.open("wb") as out, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out) as pipe:
        command = [str(programs / "bin" / "pg_dump"), "-Fc", server.dsn("app")]
        subprocess.run(command, check=True, stdout=pipe.stdin, env=_environment(server))
        assert pipe.stdin is not None
        pipe.stdin.close()
    return file


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


def snapshot(search: Qdrant) -> Path:
    """Make a collection `docs` with points, and a snapshot of it; return the file, which the double does not offer."""
    collection = "/collections/docs"
    with httpx.Client(base_url=search.url, timeout=20, trust_env=False) as client:
        client.put(collection, json={"vectors": {"size": 4, "distance": "Cosine"}}).raise_for_status()
        points = [{"id": number, "vector": [number, 1, 2, 3]} for number in range(1, 200)]
        client.put(f"{collection}/points", params={"wait": "true"}, json={"points": points}).raise_for_status()
        client.post(f"{collection}/snapshots").raise_for_status()
    [file] = search.folder.rglob("docs-*.snapshot")
    return file


class Stage:
    """The places and servers of the page: `nas`, `vault` in MinIO, and `offsite` in another one."""

    def __init__(  # noqa: PLR0913, PLR0917 - one for each store
        self, folder: Path, archive: Pgbackrest, graph: Neo4j, objects: Minio, elsewhere: Minio, search: Qdrant
    ) -> None:
        self.nas = folder / "nas"
        self._work = folder / "work"
        self._archive, self._graph, self._objects = archive, graph, objects
        self._elsewhere, self._search = elsewhere, search
        self._vault, self._offsite = s3(objects), s3(elsewhere)

    def build(self) -> Self:
        """Make the backups, as old as the page's policies demand."""
        self.nas.mkdir()
        for part in ("vault/reports", "documents"):
            (self._work / part).mkdir(parents=True)
        for bucket, client in (("backups", self._vault), ("documents", self._vault), ("apex-dr", self._offsite)):
            client.make_bucket(bucket)
        self._fill_nas()
        self._fill_vault()
        upload(self._offsite, "apex-dr", self.nas, "daily/", encrypted=True)
        for client, bucket, prefix in ((self._vault, "documents", ""), (self._offsite, "apex-dr", "documents/")):
            upload(client, bucket, self._work / "vault/weekly", prefix)
        return self

    def _fill_nas(self) -> None:
        work, server = self._work, self._archive.server
        fill_folder(self.nas, dump(server, work / "apex.dump", "-Fc"), "apex_full_{}.dump")
        roles = dump(server, work / "globals.sql", "--globals-only", program="pg_dumpall")
        fill_folder(self.nas, roles, "globals_{}.sql")
        self._graph.run("UNWIND range(1, 500) AS id CREATE (:Person {id: id})")
        self._graph.stop(60)
        fill_folder(self.nas, self._graph.dump(), "neo4j/graph-{}.dump")
        self._graph.restart()
        fill_folder(self.nas, snapshot(self._search), "qdrant/docs-{}.snapshot")

    def _fill_vault(self) -> None:
        for tier in ("weekly", "monthly"):
            fill_folder(self._work / "vault", self._work / "apex.dump", f"{tier}/apex-{{}}.dump", tier)
        for job in ("restore-orders", "failover", "integrity"):
            report(self._work / "vault/reports", f"{job}.json")
        self._archive.backup("full")
        self._archive.switch(3)
        upload(self._vault, "backups", self._work / "vault")
        upload(self._vault, "backups", self._archive.repository, "pgbackrest/")

    def targets(self, shown: list[Target] | None = None) -> list[Target]:
        """Return the page's targets, on the servers of the stage; and those that they name."""
        found = {target["name"]: target for target in shown or documented()}
        secret = {"access_key": self._elsewhere.access_key, "secret_key": self._elsewhere.secret_key}
        real: dict[str, Target] = {
            "orders": {"password_file": None, **self._archive.server.target("orders")},
            "nas": {"url": self.nas.as_uri()},
            "search": {"url": self._search.url},
            "offsite": {"url": f"{self._elsewhere.url}/apex-dr", "secret_key_file": None, **secret},
            "graph": self._graph.target("graph"),
            "objects": self._objects.target("objects"),
        }
        named = {one["of"] for target in found.values() for one in target.get("sets", ())} | {"objects"}
        return [
            {key: value for key, value in {**found.get(name, {}), **real.get(name, {})}.items() if value is not None}
            for name in {**found, **dict.fromkeys(named)}
        ]

    def places(self) -> list[Target]:
        return [target for target in documented() if target["store"] == "backups"]

    def archive_all(self) -> None:
        """Let the server archive what its own work has written since."""
        self._archive.switch()

    def cut_newest_dump(self) -> str:
        """Cut the newest dump in half; return its name."""
        newest = max(self.nas.glob("apex_full_*.dump"))
        modified = newest.stat().st_mtime
        os.truncate(newest, newest.stat().st_size // 2)
        os.utime(newest, (modified, modified))
        return newest.name

    def lose_segment(self) -> str:
        """Remove the segment before the newest one; return its name."""
        names = [
            str(one.object_name) for one in self._vault.list_objects("backups", "pgbackrest/archive/", recursive=True)
        ]
        segments = sorted(name for name in names if re.fullmatch(r"[0-9A-F]{24}-.*", name.rpartition("/")[2]))
        self._vault.remove_object("backups", segments[-2])
        return segments[-2].rpartition("/")[2][:24]

    def lose_copy(self) -> str:
        """Remove one of the copies elsewhere, neither the newest nor the oldest; return its name."""
        names = sorted(str(one.object_name) for one in self._offsite.list_objects("apex-dr", "daily/apex_full_"))
        self._offsite.remove_object("apex-dr", names[-5])
        return names[-5].rpartition("/")[2]

    def fail_restore(self, message: str) -> None:
        file = report(self._work, "restore-orders.json", ok=False, message=message)
        self._vault.fput_object("backups", "reports/restore-orders.json", str(file))
