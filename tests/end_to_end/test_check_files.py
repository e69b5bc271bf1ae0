"""No file that the configuration names, nor the configuration itself, makes a start wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exporter_process import RUN
from tests.support.factories import write

TARGET = "{name: a, store: postgres, url: postgresql://u@h/db, %s: %s}"


def check(tmp_path: Path, config: str, code: str = "", **environment: str) -> list[str]:
    """Run `check` on a configuration; return what it says, without folders."""
    path = write(tmp_path / "datatier.yaml", config) if config else tmp_path / "pipe"
    named = [] if environment else ["--config", str(path)]
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{RUN}", "check", *named],
        capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    assert ran.returncode == 2, ran.stderr
    said: str = ran.stderr
    return said.replace(f"{tmp_path}/", "").splitlines()


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_no_key_of_the_configuration_waits_for_a_pipe(tmp_path: Path, pipe: Path) -> None:
    keys = ("password_file", "ca_file", "cert_file")
    targets = "".join(f"  - {TARGET % (key, pipe)}\n".replace("name: a", f"name: {key}") for key in keys)
    said = check(tmp_path, f"targets:\n{targets}web: {{token_file: {pipe}}}\n")

    assert said == [
        f"datatier.yaml:{line}: {key}: pipe cannot be read: it is not a regular file"
        for line, key in [
            *((index + 2, f"targets.{index}.{name}") for index, name in enumerate(keys)), (5, "web"),
        ]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("", "pipe: cannot be read: it is not a regular file"),
        ("queries: [pipe]", "pipe: cannot be read: it is not a regular file"),
        ("queries: [folder]", "folder/postgres/pipe.yaml: cannot be read: it is not a regular file"),
        ("web: {config_file: pipe}", "pipe: cannot be read: it is not a regular file"),
        (
            "web: {config_file: web.yml}",
            "web.yml:1: tls_server_config.cert_file: pipe cannot be read: it is not a regular file",
        ),
    ],
)
def test_no_file_beside_it_waits_for_a_pipe(tmp_path: Path, pipe: Path, config: str, said: str) -> None:
    write(tmp_path / "web.yml", f"tls_server_config: {{cert_file: {pipe}, key_file: {pipe}}}\n")
    (tmp_path / "folder/postgres").mkdir(parents=True)
    os.mkfifo(tmp_path / "folder/postgres/pipe.yaml")

    whole = f"targets: [{{name: a, store: postgres, url: postgresql://u@h/db}}]\n{config}\n" if config else ""
    assert check(tmp_path, whole) == [said]


def test_no_variable_waits_for_a_pipe(tmp_path: Path, pipe: Path) -> None:
    said = check(tmp_path, "", DATA_SOURCE_URI="h/db", DATA_SOURCE_USER="u", DATA_SOURCE_PASS_FILE=str(pipe))

    assert said == ["environment: DATA_SOURCE_PASS_FILE: pipe cannot be read: it is not a regular file"]


HANGING = """
import pathlib, threading
from exporter.config import files
files.PATIENCE = 0.2
stat = pathlib.Path.stat
def hang(path, **options):
    return threading.Event().wait() if path.name == "hanging" else stat(path, **options)
pathlib.Path.stat = hang
"""


def test_a_start_does_not_wait_for_a_mount_that_hangs(tmp_path: Path) -> None:
    """Nor does the end of the process, although nothing can interrupt who looks at it."""
    hanging = tmp_path / "hanging"
    said = check(tmp_path, f"targets: [{TARGET % ('password_file', hanging)}]\n", HANGING)

    assert said == ["datatier.yaml:1: targets.0.password_file: hanging cannot be read: no answer within 0.2 s"]
