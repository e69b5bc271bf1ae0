"""`make demo` as a user meets it: what is served, what is shown, what is left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.guard import alive, descendants
from testkit.session import Servers
from tests.support.paths import ROOT

SECONDS = 90.0


class Demo:
    """A running demo whose temp folders lie in `folder`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.shown: list[str] = []

    @property
    def url(self) -> str:
        [line] = [line for line in self.shown if "/metrics " in line]
        return line.split()[0].removesuffix("/metrics")

    def read_until(self, words: str) -> str:
        """Return the first line with these words."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + SECONDS
        for line in self.process.stdout:
            self.shown.append(line)
            if words in line:
                return line
            assert time.monotonic() < deadline, "".join(self.shown)
        raise AssertionError("the demo ended:\n" + "".join(self.shown))

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read().decode())

    def leaves_nothing(self, family: list[int]) -> bool:
        """Tell whether all its processes and folders are gone, after the guard had its time."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and (any(map(alive, family)) or any(self.folder.glob("datatier-*"))):
            time.sleep(0.05)
        return not any(map(alive, family)) and not any(self.folder.glob("datatier-*"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that root's servers, who run as another user, may enter, too."""
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def demo(folder: Path, servers: Servers) -> Iterator[Demo]:
    servers.postgres("18")  # where it cannot be had, this is a skip
    environment = os.environ | {"TMPDIR": str(folder)}
    with start(environment) as process:
        yield Demo(process, folder)
        process.kill()


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.demo"], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.servers("postgres:18")
def test_live_data_of_both_servers_until_ctrl_c(demo: Demo) -> None:
    """Both PostgreSQL are on the pages with transactions counted, and Ctrl-C ends all without a trace."""
    demo.read_until("/health pass")
    metrics, health = demo.get("/metrics"), json.loads(demo.get("/health"))
    family = descendants(demo.process.pid)
    os.killpg(demo.process.pid, signal.SIGINT)
    demo.read_until("nothing is left behind")

    assert health["status"] == "pass"
    assert {name: target.get("role") for name, target in health["targets"].items()} == {
        "shop-1": "primary",
        "shop-2": "replica",
        "nas": None,
    }
    assert 'datatier_backups{store="backups",target="nas",check="shop-dump",of="shop-1"} ' in metrics
    for target in ("shop-1", "shop-2"):
        assert f'pg_up{{target="{target}"}} 1' in metrics
        counted = [line for line in metrics.splitlines() if line.startswith("pg_stat_database_xact_commit{")]
        assert any(f'target="{target}"' in line and not line.endswith(" 0") for line in counted)
    assert demo.process.wait(20) == 0
    assert family
    assert demo.leaves_nothing(family)


@pytest.mark.servers("postgres:18")
def test_a_killed_demo_takes_its_servers_with_it(demo: Demo) -> None:
    """Even when the demo cannot tidy up, nothing of it goes on running or lies around."""
    demo.read_until("/health ")
    demo.read_until("shop-2")
    family = descendants(demo.process.pid)
    demo.process.kill()

    assert family
    assert demo.leaves_nothing(family)


def test_no_network_is_one_readable_message(folder: Path) -> None:
    """Without PostgreSQL the demo ends with a message, and no traceback."""
    (folder / "cache").mkdir(mode=0o755)
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "UV_OFFLINE": "1"}
    environment = os.environ | offline | {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder)}
    with start(environment) as process:
        said, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 1
    assert "The demo cannot run" in said
    assert "needs a network" in said
    assert "Traceback" not in said
