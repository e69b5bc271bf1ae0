"""What how-to/job-reports.md offers to copy works: the scripts, on a real server, and what starts them."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.config.config import load_config
from exporter.config.stores.backups import BackupsTarget
from exporter.datastores.backups.formats.report_text import Report, parse_report
from testkit.postgres import Postgres
from testkit.postgres_programs import fetch
from testkit.session import Servers
from tests.support.documented import pieces
from tests.support.exporter_process import Exporter
from tests.support.minio_admin import s3

PAGE = "how-to/job-reports.md"
REPORT_JOB, RESTORE, OTHER_JOBS, AWS, CURL = pieces(PAGE, "sh")
RESTORED = "reports/restore-orders.json"


class Scripts:
    """The page's scripts in a folder of their own, and its folder of backups; they reach one server."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self.bin, self.backups = folder / "bin", folder / "backups"
        self.bin.mkdir()
        (self.backups / "reports").mkdir(parents=True)
        for name, text in (("report-job", REPORT_JOB), ("restore-orders", RESTORE)):
            (self.bin / name).write_text(self.here(text))
            (self.bin / name).chmod(0o755)
        programs = fetch(server.version) / "bin"
        login = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
        password = server.dsn().split(":")[2].split("@")[0]
        self.environment = {
            **os.environ, **login, "PGPASSWORD": password, "PATH": f"{self.bin}:{programs}:{os.environ['PATH']}",
        }  # fmt: skip

    def here(self, text: str) -> str:
        return text.replace("/backups/", f"{self.backups}/").replace("/usr/local/bin", str(self.bin))

    def run(self, command: str) -> int:
        ended = subprocess.run(
            ["sh", "-c", self.here(command)], env=self.environment, check=False, capture_output=True, timeout=120
        )
        return ended.returncode

    def report(self, name: str = RESTORED) -> Report:
        return parse_report((self.backups / name).read_bytes())


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        server.psql("CREATE DATABASE orders")
        server.psql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)", "orders")
        server.psql("CREATE PROCEDURE archive_orders() LANGUAGE sql AS 'DELETE FROM orders WHERE id < 0'", "orders")
        yield server


@pytest.fixture
def scripts(server: Postgres, tmp_path: Path) -> Scripts:
    made = Scripts(server, tmp_path)
    assert made.run("pg_dump --format=custom --file=/backups/apex_full_20261130.dump orders") == 0
    return made


def started_by_cron() -> str:
    [line] = pieces(PAGE, "cron")
    *when, user, command = line.split(maxsplit=6)
    assert (" ".join(when), user) == ("0 4 * * 0", "postgres")
    return command


def started_by_systemd() -> str:
    [command] = [line.removeprefix("ExecStart=") for line in pieces(PAGE, "ini")[0].splitlines() if "ExecStart" in line]
    return command


def test_restore_of_a_good_dump_is_reported(scripts: Scripts) -> None:
    began = int(time.time())

    assert scripts.run(started_by_cron()) == 0
    said = scripts.report()
    assert (said.ok, said.fault) == (True, "")
    assert began <= said.finished <= time.time()
    assert said.seconds is not None
    assert [path.name for path in (scripts.backups / "reports").iterdir()] == ["restore-orders.json"]


def test_restore_of_a_dump_that_is_cut_is_reported_with_its_error(scripts: Scripts) -> None:
    dump = scripts.backups / "apex_full_20261201.dump"
    content = (scripts.backups / "apex_full_20261130.dump").read_bytes()
    dump.write_bytes(content[:-40])

    assert scripts.run(started_by_systemd()) != 0
    said = scripts.report()
    assert (said.ok, said.fault) == (False, "")
    assert said.message.startswith("pg_restore: error: ")


def test_restore_of_a_dump_without_rows_is_reported(scripts: Scripts, server: Postgres) -> None:
    server.psql("CREATE DATABASE empty")
    server.psql("CREATE TABLE orders (id int)", "empty")
    scripts.run("pg_dump --format=custom --file=/backups/apex_full_20261202.dump empty")
    server.psql("DROP DATABASE empty")

    assert scripts.run(started_by_cron()) != 0
    assert "division by zero" in scripts.report().message


def test_restore_without_a_dump_is_reported(scripts: Scripts) -> None:
    (scripts.backups / "apex_full_20261130.dump").unlink()

    assert scripts.run(started_by_cron()) != 0
    assert not scripts.report().ok


@pytest.mark.parametrize("printed", ['a "quoted" \\ text', "\x1b[31mred\x07", "ä € \xff", "", "x" * 5000, "%s %d"])
def test_report_job_message_is_always_json(scripts: Scripts, tmp_path: Path, printed: str) -> None:
    (tmp_path / "printed").write_bytes(printed.encode("latin-1", "replace"))

    assert scripts.run(f"report-job /backups/{RESTORED} sh -c 'cat {tmp_path}/printed; exit 3'") == 3
    assert not scripts.report().fault
    assert not scripts.report().ok


def test_report_job_runs_the_other_jobs(scripts: Scripts) -> None:
    for command in OTHER_JOBS.splitlines():
        assert scripts.run(command) == 0
    for name in ("integrity", "archive-orders"):
        assert scripts.report(f"reports/{name}.json").ok


def test_example_of_a_report_is_one() -> None:
    [example] = pieces(PAGE, "json")

    assert parse_report(example.encode()).ok
    assert set(json.loads(example)) == {"ok", "finished", "seconds", "source", "message"}


def test_set_of_the_page_finds_the_report_that_the_job_writes(scripts: Scripts) -> None:
    config = scripts.backups.parent / "datatier.yaml"
    config.write_text(pieces(PAGE, "yaml")[0])
    place = next(target for target in load_config(config).targets if isinstance(target, BackupsTarget))
    scripts.run(started_by_cron())

    assert [(scripts.backups / one.files).is_file() for one in place.sets if one.format == "report"] == [True]


def test_reports_are_checks_of_health(scripts: Scripts, server: Postgres) -> None:
    """One of a job that went well, one that failed, one that was too slow, and one that is no report."""
    scripts.run(started_by_cron())
    scripts.run("report-job /backups/reports/failed.json sh -c 'echo out of disk; exit 1'")
    scripts.run("report-job /backups/reports/slow.json sleep 2")
    (scripts.backups / "reports/garbage.json").write_text("{}")
    names = {"restore-orders": "15m", "failed": "15m", "slow": "1s", "garbage": "15m", "absent": "15m"}
    every: dict[str, object] = {"of": "db", "format": "report", "every": "7d"}
    sets = [{**every, "name": name, "files": f"reports/{name}.json", "duration": most} for name, most in names.items()]
    place = {"name": "nas", "store": "backups", "url": f"file://{scripts.backups}", "sets": sets}
    with Exporter([server.target("db"), place]) as exporter:
        exporter.wait(lambda: exporter.value("datatier_backup_readable", check="absent") == 1, "the first look", 30)
        checks = exporter.health()["checks"]
        found = {name: checks[f"nas:{name}"][0] for name in names}
        failed = exporter.value("datatier_backup_newest_rejected", check="failed", reason="failed")

    assert {name: one["status"] for name, one in found.items()} == {
        "restore-orders": "pass", "failed": "fail", "slow": "warn", "garbage": "fail", "absent": "fail",
    }  # fmt: skip
    assert "reports/failed.json: failed, out of disk" in found["failed"]["output"]
    assert "reports/slow.json: took 2 s, 1 s allowed" in found["slow"]["output"]
    assert "reports/garbage.json: wrong format, ok is missing" in found["garbage"]["output"]
    assert "the job has not succeeded" in found["absent"]["output"]
    assert failed == 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on the PATH")
def test_units_are_what_systemd_takes(scripts: Scripts, tmp_path: Path) -> None:
    units = [tmp_path / f"restore-orders.{kind}" for kind in ("service", "timer")]
    for unit, text in zip(units, pieces(PAGE, "ini"), strict=True):
        unit.write_text(scripts.here(text))

    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, units)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.servers("minio")
@pytest.mark.parametrize(("program", "command"), [("aws", AWS), ("curl", CURL)])
def test_report_can_be_put_into_a_bucket(servers: Servers, tmp_path: Path, program: str, command: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on the PATH")
    minio = servers.minio()
    client = s3(minio)
    if not client.bucket_exists(bucket_name="backups"):
        client.make_bucket(bucket_name="backups")
    (tmp_path / "restore-orders.json").write_text(f'{{"ok": true, "finished": {int(time.time())}}}')
    here = command.replace("/var/tmp", str(tmp_path)).replace("https://s3.example", minio.url)
    keys = {"AWS_ACCESS_KEY_ID": minio.access_key, "AWS_SECRET_ACCESS_KEY": minio.secret_key}
    place = {"AWS_ENDPOINT_URL": minio.url, "AWS_DEFAULT_REGION": "us-east-1"}
    ended = subprocess.run(
        ["sh", "-c", here], env={**os.environ, **keys, **place}, check=False, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 0, ended.stderr
    response = client.get_object(bucket_name="backups", object_name=RESTORED)
    assert parse_report(response.data).ok
    client.remove_object(bucket_name="backups", object_name=RESTORED)
