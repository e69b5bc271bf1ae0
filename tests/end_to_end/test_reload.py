"""Reload of a running exporter on real servers: by signal and by request, while it works."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from testkit.postgres import Postgres
from testkit.process import free_port
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.factories import write
from tests.support.paths import ROOT

UNHURRIED = "5s"  # on a busy machine no poll comes near its deadline, which would cost a connection
SUCCESSFUL = "datatier_config_last_reload_successful"
CLOSED = {"name": "closed", "store": "postgres", "url": f"postgresql://monitor:hunter22@127.0.0.1:{free_port()}/x"}


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    """Give a server of our own, whose connections are all ours."""
    with servers.private_postgres("18") as server:
        yield server


def at(server: Postgres, database: str, **extra: Any) -> dict[str, Any]:
    """Return a target named after the one database that its connections are in."""
    url = f"postgresql://monitor@127.0.0.1:{server.port}/{database}"
    return server.target(database, url=url, databases={"include": [database]}, **extra)


def connections(server: Postgres, database: str) -> list[str]:
    """Return the process ids of the exporter's connections to a database; the first is that of the pings."""
    rows = server.psql(
        "SELECT pid FROM pg_stat_activity "
        f"WHERE datname = '{database}' AND application_name = 'datatier-exporter' ORDER BY backend_start"
    )
    return [row[0] for row in rows]


def wait_answers(exporter: Exporter, *targets: str) -> None:
    """Wait until targets have answered a whole poll: that a busy machine makes them slow is no matter here."""
    succeeded = "datatier_poll_last_success_timestamp_seconds"
    for name in targets:
        exporter.wait(lambda name=name: exporter.value(succeeded, target=name) is not None, f"{name} to answer", 60)  # type: ignore[misc]


def post(exporter: Exporter) -> tuple[int, str]:
    request = Request(f"http://127.0.0.1:{exporter.port}/-/reload", method="POST", data=b"")
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_only_what_changed_restarts(server: Postgres) -> None:
    """One target keeps its connections and counts, one goes with all that was its own, one comes."""
    with Exporter([at(server, "postgres"), at(server, "app")], UNHURRIED) as exporter:
        wait_answers(exporter, "postgres", "app")
        kept, polls = connections(server, "postgres")[0], exporter.value("datatier_polls_total", target="postgres")
        since = exporter.health()["targets"]["postgres"]["since"]
        exporter.reload([at(server, "postgres"), at(server, "template1")])

        assert exporter.get("/probe?target=app").status == 404
        assert 'target="app"' not in exporter.text()
        assert connections(server, "app") == []
        wait_answers(exporter, "template1")
        assert connections(server, "postgres")[0] == kept
        assert (exporter.value("datatier_polls_total", target="postgres") or 0) >= (polls or 0) > 0
        assert exporter.health()["targets"]["postgres"]["since"] == since
        exporter.stop()
        log = exporter.log.read_text()

    assert "event=reloaded added=template1 removed=app" in log
    assert "Traceback" not in log


def test_a_query_file_is_read_again(server: Postgres, tmp_path: Path) -> None:
    """A new one is asked, a changed one otherwise, a removed one no more; the target stays what it was."""
    file = tmp_path / "postgres" / "mine.yaml"
    text = "query: SELECT {}::float8 AS v\nmetrics:\n  pg_mine: {{type: gauge, help: Something of mine., value: v}}\n"
    write(tmp_path / "postgres" / "other.yaml", text.replace("pg_mine", "pg_other").format(1))
    targets = [at(server, "postgres")]
    with Exporter(targets, UNHURRIED, queries=[str(tmp_path)]) as exporter:
        wait_answers(exporter, "postgres")
        for value in (1.0, 2.0):
            write(file, text.format(value))
            exporter.reload(targets)
            exporter.wait(lambda value=value: exporter.value("pg_mine") == value, "the new value")  # type: ignore[misc]
            assert exporter.value("datatier_up", target="postgres") == 1

        file.unlink()
        exporter.reload(targets)
        samples = exporter.samples()
        assert "pg_mine" not in samples
        assert not [labels for series in samples.values() for labels in series if ("query", "mine") in labels]
        assert list(samples["pg_other"].values()) == [1.0]


def test_maintenance_by_reload(servers: Servers) -> None:
    """A target that is stopped for work on it does not fail /health, is measured on, and counts again afterwards."""
    with servers.private_postgres("18") as server, Exporter([at(server, "postgres")]) as exporter:
        wait_answers(exporter, "postgres")
        exporter.reload([at(server, "postgres", maintenance=True)])
        assert exporter.value("datatier_target_maintenance", target="postgres") == 1
        assert exporter.value("pg_settings_max_connections") is not None

        server.stop()
        exporter.wait(lambda: exporter.state("postgres") == "down", "the stop to be seen")
        body = exporter.health()
        assert (exporter.get("/health").status, body["status"]) == (200, "pass")
        assert body["targets"]["postgres"]["maintenance"] is True
        assert body["targets"]["postgres"]["reasons"] == [{"code": "connect"}]
        assert any("postgres" in note for note in body["notes"])

        exporter.reload([at(server, "postgres")])
        assert (exporter.get("/health").status, exporter.state("postgres")) == (503, "down")
        assert exporter.value("datatier_target_maintenance", target="postgres") == 0
        server.start()
        exporter.wait(lambda: exporter.state("postgres") != "down", "the start to be seen")


def test_a_broken_file_changes_nothing(server: Postgres) -> None:
    """The answer and the log name file, line and key of all that is wrong, and no secret; then it is mended."""
    targets = [at(server, "postgres")]
    with Exporter(targets, UNHURRIED, web={"reload": True}) as exporter:
        wait_answers(exporter, "postgres")
        kept = connections(server, "postgres")[0]
        exporter.write([{**CLOSED, "intervall": "1s"}, {"name": "x", "store": "postgres", "password": "hunter22"}])
        status, text = post(exporter)

        assert status == 500
        assert [line.partition(": ")[2] for line in text.splitlines()] == [
            "targets.0.intervall: unknown key",
            "targets.1.url: required, but not there",
        ]
        assert all(line.startswith(f"{exporter.config}:") for line in text.splitlines())
        assert exporter.value(SUCCESSFUL) == 0
        assert connections(server, "postgres")[0] == kept
        assert exporter.value("datatier_up", target="postgres") == 1

        exporter.write([*targets, CLOSED])
        assert post(exporter) == (200, "reloaded\n")
        assert exporter.value(SUCCESSFUL) == 1
        assert exporter.value("datatier_up", target="closed") == 0
        exporter.stop()
        log = exporter.log.read_text()

    assert "targets.0.intervall: unknown key" in log
    assert "hunter22" not in log + text


def test_a_request_must_be_allowed(server: Postgres) -> None:
    """And may be forbidden by the next reload; GET never does anything."""
    targets = [at(server, "postgres")]
    with Exporter(targets) as exporter:
        assert post(exporter)[0] == 403
        assert exporter.get("/-/reload").status == 405

        exporter.reload(targets, web={"reload": True})
        assert post(exporter)[0] == 200
        exporter.reload(targets, web={"reload": False})
        assert post(exporter)[0] == 403


def test_a_storm_of_reloads_leaves_nothing_behind(server: Postgres) -> None:
    """A hundred signals while targets come, go and change: every page is answered, and all is as before."""
    settled = [at(server, "postgres"), at(server, "app")]
    with Exporter(settled, UNHURRIED) as exporter:
        wait_answers(exporter, "postgres", "app")
        kept, before = connections(server, "postgres")[0], used(exporter)
        slowest = 0.0
        for number in range(100):
            exporter.write([settled[0], [settled[1], at(server, "app", interval="2s"), CLOSED][number % 3]])
            os.kill(exporter.pid, signal.SIGHUP)
            answers = [exporter.get(path) for path in ("/livez", "/metrics")]
            assert [answer.status for answer in answers] == [200, 200]
            slowest = max(slowest, *(answer.seconds for answer in answers))
        exporter.reload(settled)
        wait_answers(exporter, "postgres", "app")
        exporter.wait(lambda: given_back(before, used(exporter)), "what was used to be given back", 60)

        assert connections(server, "postgres")[0] == kept
        assert len(connections(server, "app")) <= 4
        assert slowest < 5


def used(exporter: Exporter) -> tuple[int, ...]:
    """Return how many tasks, threads and file descriptors the process has, a few more or less for what it just does."""
    tasks = exporter.value("datatier_tasks")
    assert tasks is not None
    threads, descriptors = (len([*Path(f"/proc/{exporter.pid}/{kind}").iterdir()]) for kind in ("task", "fd"))
    return int(tasks), threads, descriptors


def given_back(before: tuple[int, ...], now: tuple[int, ...]) -> bool:
    return all(few <= many + 3 for few, many in zip(now, before, strict=True))


def test_an_end_during_a_reload_is_an_end(server: Postgres) -> None:
    """SIGTERM is obeyed while pollers end and begin."""
    with Exporter([at(server, "postgres")]) as exporter:
        wait_answers(exporter, "postgres")
        exporter.write([at(server, "app")])
        os.kill(exporter.pid, signal.SIGHUP)

        assert exporter.stop() == 0
        log = exporter.log.read_text()

    assert "Traceback" not in log
    assert connections(server, "app") + connections(server, "postgres") == []


def test_a_signal_during_the_start_is_not_lost(tmp_path: Path) -> None:
    """Nor is it the end: it is obeyed as soon as the service runs."""
    document = yaml.safe_dump({"listen": f"127.0.0.1:{free_port()}", "targets": [CLOSED]})
    path, told = write(tmp_path / "datatier.yaml", document), tmp_path / "log"
    command = [sys.executable, "-m", "exporter", "--config", str(path)]
    with told.open("w") as log, subprocess.Popen(command, cwd=ROOT, stderr=log) as process:
        try:
            deadline = time.monotonic() + 30
            while not holds_back_hangups(process.pid):
                assert time.monotonic() < deadline, told.read_text()
            process.send_signal(signal.SIGHUP)
            assert "event=starting" not in told.read_text()
            wait_for("event=reloaded", told)
        finally:
            process.terminate()


def holds_back_hangups(pid: int) -> bool:
    """Tell whether a process lets SIGHUP wait; by itself it would end it."""
    [blocked] = re.findall(r"^SigBlk:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(blocked, 16) >> (signal.SIGHUP - 1) & 1)


def wait_for(event: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while event not in log.read_text():
        assert time.monotonic() < deadline, f"in vain for {event}: {log.read_text()}"
        time.sleep(0.05)
