"""The command line: exit codes, and problems as readable lines."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli import main
from exporter.config.sharding import Shard
from testkit.process import free_port
from tests.support.factories import restored_logs, write
from tests.support.paths import ROOT

CLOSED = "postgresql://monitor:hunter22@127.0.0.1:{port}/postgres"
ORDERS = f"targets:\n  - name: orders\n    store: postgres\n    url: {CLOSED}\n"


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with restored_logs():
        yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a valid configuration whose server is down."""
    return write(tmp_path / "datatier.yaml", ORDERS.format(port=free_port()))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Run a command that must end with exit code 2; return what it says."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err.splitlines()


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"datatier-exporter {__version__}\n"


@pytest.mark.parametrize("command", [[], ["serve"], ["check"]])
def test_invalid_configuration_is_exit_2(command: list[str], config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 before anything is started, each problem on a line with file, line and key."""
    config.write_text(config.read_text().replace("url", "uri"))

    assert refused(capsys, *command, "--config", config) == [
        f"{config}:2: targets.0.url: required, but not there",
        f"{config}:4: targets.0.uri: unknown key",
    ]


def test_missing_configuration_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.yaml"

    assert refused(capsys, "--config", missing) == [f"{missing}: cannot be read: No such file or directory"]


def test_missing_secret_file_is_exit_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the file, and the key that refers to it."""
    config.write_text(config.read_text().replace("url", "password_file: /none\n    url"))

    assert refused(capsys, "--config", config) == [
        f"{config}:4: targets.0.password_file: /none cannot be read: No such file or directory"
    ]


def test_unset_variable_is_exit_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text().replace("url", "password: ${NOBODY_SETS_THIS}\n    url"))

    assert refused(capsys, "--config", config) == [
        f"{config}:4: targets.0.password: the environment variable NOBODY_SETS_THIS is not set"
    ]


def test_invalid_query_file_is_exit_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any connection is made."""
    config.write_text(config.read_text() + "queries: [queries.d]\n")
    path = write(
        config.parent / "queries.d/postgres/mine.yaml", "query: SELECT 1\nmetrics:\n  pg_mine: {type: gauge}\n"
    )

    assert refused(capsys, "check", "--config", config) == [f"{path}:3: metrics.pg_mine.help: required, but not there"]


def test_target_label_that_collides_with_a_query_is_exit_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A series with the same label twice would cost Prometheus the whole page."""
    config.write_text(config.read_text() + "    labels:\n      datname: x\n")
    [first, *_] = refused(capsys, "check", "--config", config)

    assert first.startswith(f"{config}:6: targets.0.labels.datname: the query ")


def test_no_configuration_is_exit_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a file nor a variable of the environment."""
    for name in (
        "POSTGRES_URL",
        "DATA_SOURCE_NAME",
        "DATA_SOURCE_URI",
        "QDRANT_URL",
        "NEO4J_URL",
        "NEO4J_URI",
        "MINIO_URL",
    ):
        monkeypatch.delenv(name, raising=False)

    [line] = refused(capsys)
    assert line.startswith("nothing to watch: name a file with --config, or set one of POSTGRES_URL")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "nowhere"], "argument --listen: 'nowhere' is not an address such as 0.0.0.0:9187"),
        (["serve", "--listen", "host:99999"], "argument --listen: 'host:99999' is not an address"),
        (["--log-level", "loud"], "argument --log-level: invalid choice: 'loud'"),
        (["check", "--format", "xml"], "argument --format: invalid choice: 'xml'"),
        (["prune"], "invalid choice: 'prune'"),
        (["--shard", "3/3"], "argument --shard: '3/3' is not a shard: 0/3, 1/3 and 2/3 are those of three"),
        (["check", "--shard", "1"], "argument --shard: '1' is not a shard"),
    ],
)
def test_invalid_argument_is_exit_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 as well, with the usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_check_of_a_server_that_is_down_is_exit_1(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, with the reason and without the password."""
    assert main(["check", "--config", str(config)]) == 1

    out = capsys.readouterr().out
    assert out.startswith("orders: postgres, DOWN (connect): ")
    assert "hunter22" not in out


def test_check_prints_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options may precede or follow the command."""
    assert main(["--config", str(config), "check", "--format", "json"]) == 1

    [report] = json.loads(capsys.readouterr().out)["targets"]
    assert (report["target"], report["up"], report["reason"]) == ("orders", False, "connect")


def test_check_of_a_shard_checks_its_targets_alone(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shard without targets is no failure."""
    empty, full = sorted(range(2), key=lambda index: Shard(index, 2).holds("orders"))

    assert main(["check", "--config", str(config), "--shard", f"{full}/2"]) == 1
    assert capsys.readouterr().out.startswith("orders: postgres, DOWN")
    assert main(["--shard", f"{empty}/2", "check", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "no target is in this shard\n"


def test_python_m_exporter_reports_without_traceback() -> None:
    """Configured from the environment alone."""
    environment = {**os.environ, "POSTGRES_URL": "mysql://u:hunter22@h/db"}
    ran = subprocess.run(
        [sys.executable, "-m", "exporter"], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "environment: POSTGRES_URL: expected a URL that starts with postgresql:// or postgres://, "
        "or host=… user=… dbname=…\n"
    )


def test_closed_pipe_is_exit_1_without_traceback(config: Path) -> None:
    """As in `check | head -1`."""
    command = [sys.executable, "-m", "exporter", "check", "--config", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stderr:
        said = stderr.read().decode()

    assert (process.wait(20), said) == (1, "")


@pytest.mark.parametrize("command", [[], ["serve"], ["check"]])
@pytest.mark.parametrize("named_by", ["the flag", "the configuration"])
def test_invalid_web_file_is_exit_2(
    command: list[str], named_by: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is served."""
    path = write(config.parent / "web.yml", "tls_server_config:\n  cert_file: none.crt\n  key_file: none.key\n")
    flags = ["--web.config.file", path] if named_by == "the flag" else []
    if not flags:
        config.write_text(config.read_text() + "web: {config_file: web.yml}\n")

    assert refused(capsys, *command, "--config", config, *flags) == [
        f"{path}:2: tls_server_config.cert_file: {config.parent}/none.crt cannot be read: No such file or directory"
    ]
