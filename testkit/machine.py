"""Start programs as the servers' user, in folders that somebody removes even when we cannot."""

import atexit
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from testkit.cache import open_to_all

FOREIGN_SETTINGS = (
    "PG",
    "MINIO_",
    "NEO4J_",
    "JAVA_",
    "QDRANT_",
)  # the user's own would leak into the servers


class CommandError(Exception):
    """A program that is here did not do its work; carries what it said."""


def spawn(
    command: list[str], folder: Path, environment: dict[str, str], log: Path, *, as_ourselves: bool = False
) -> subprocess.Popen[bytes]:
    """Start a command in the background: in a session of its own, so that Ctrl-C stays ours."""
    user, group, groups = (None, None, None) if as_ourselves else account()
    with log.open("ab") as output:
        return subprocess.Popen(
            command, cwd=folder, env=clean_environment(folder) | environment, user=user, group=group,
            extra_groups=groups, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip


def run(command: list[str], folder: Path, environment: dict[str, str], stdin: str = "") -> str:
    """Run a command to its end and return what it printed; raise CommandError when it fails."""
    user, group, groups = account()
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(folder) | environment, user=user, group=group,
        extra_groups=groups, input=stdin, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CommandError(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def account() -> tuple[str | None, int | None, list[int] | None]:
    """Return a server's user, group and extra groups: those of `nobody` when we are root (PostgreSQL refuses root)."""
    if os.geteuid() != 0:
        return None, None, None
    return "nobody", pwd.getpwnam("nobody").pw_gid, []


def clean_environment(folder: Path) -> dict[str, str]:
    """Return our environment without the user's settings for the same servers, with `folder` as home."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN_SETTINGS)}
    return ours | {"HOME": str(folder), "TMPDIR": str(folder)}


def temp_folder(kind: str) -> Path:
    """Make a temp folder that belongs to the servers' user; the guard removes it if we cannot."""
    parent = tempfile.gettempdir()
    if os.geteuid() == 0 and not open_to_all(Path(parent)):
        parent = "/tmp"  # the servers' user cannot enter a temp folder of root's own
    folder = Path(tempfile.mkdtemp(prefix=f"datatier-{kind}-", dir=parent))
    guard.tell(f"folder {folder}")
    hand_over(folder)
    return folder


def hand_over(folder: Path) -> None:
    """Give a folder and all in it to the servers' user."""
    user, group, _ = account()
    if user is not None:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user, group)


class Guard:
    """Our end of the guard's standard input; the guard starts with the first word."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def tell(self, words: str) -> None:
        with self._lock:
            if self._process is None:
                self._process = self._start()
            if self._process.stdin:
                self._process.stdin.write(words + "\n")
                self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[str]:
        program = Path(__file__).with_name("guard.py")
        atexit.register(self._close)
        return subprocess.Popen(
            [sys.executable, "-I", str(program)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True, cwd="/",
        )  # fmt: skip

    def _close(self) -> None:
        if self._process is not None:
            self._process.communicate()


guard = Guard()
