"""Barman, from the Python package index, with a PostgreSQL that it backs up through pg_basebackup."""

import getpass
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from testkit.cache import cached
from testkit.machine import CommandError, clean_environment, guard, hand_over, temp_folder
from testkit.packages import install
from testkit.postgres import PASSWORDS, Postgres
from testkit.postgres_programs import fetch

VERSION = "3.19.1"
NAME = "demo"
_SECONDS = 120


class Barman:
    """A server, and the folder where Barman keeps its backups; Barman runs as ourselves, without ssh."""

    def __init__(self, version: str = "18") -> None:
        self.folder = temp_folder("barman")
        self.server = Postgres(
            version,
            {
                "archive_mode": "on",
                "archive_command": f"cp %p {self.incoming}/%f",
                "summarize_wal": "on",
            },
        )

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def incoming(self) -> Path:
        return self.home / NAME / "incoming"

    @property
    def _programs(self) -> Path:
        return fetch(self.server.version) / "bin"

    def start(self) -> Self:
        _packages()
        self.incoming.mkdir(parents=True)
        hand_over(self.incoming)
        self._configure(self._programs)
        self.server.start()
        self.call("switch-wal", "--force", "--archive", NAME)
        return self

    def _configure(self, programs: Path) -> None:
        login = f"host=127.0.0.1 port={self.server.port} user=postgres dbname=postgres password={PASSWORDS['postgres']}"
        sections = {
            "barman": {
                "barman_user": getpass.getuser(),
                "barman_home": self.home,
                "barman_lock_directory": self.home,
                "configuration_files_directory": self.folder / "none",
                "log_file": self.folder / "barman.log",
            },
            NAME: {
                "description": NAME,
                "conninfo": login,
                "streaming_conninfo": login,
                "backup_method": "postgres",
                "archiver": "on",
                "compression": "gzip",
                "path_prefix": programs,
            },
        }
        (self.folder / "barman.conf").write_text(
            "".join(
                f"[{section}]\n" + "".join(f"{key}={value}\n" for key, value in settings.items())
                for section, settings in sections.items()
            )
        )

    def backup(self, *options: str, programs: Path | None = None) -> None:
        """Make a backup; with other programs than the server's, once."""
        try:
            self._configure(programs or self._programs)
            self.call("backup", "--wait", *options, NAME)
        finally:
            self._configure(self._programs)

    def switch(self, segments: int = 1) -> None:
        for _ in range(segments):
            self.call("switch-wal", "--force", "--archive", NAME)

    def call(self, *words: str) -> str:
        environment = clean_environment(self.folder) | {
            "PYTHONPATH": str(_packages()),
            "LD_LIBRARY_PATH": str(fetch(self.server.version) / "lib"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "barman.cli", "-c", str(self.folder / "barman.conf"), *words],
            env=environment, cwd=self.folder, capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CommandError(f"barman {' '.join(words)} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def close(self) -> None:
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        guard.tell(f"removed {self.folder}")


def _packages() -> Path:
    name = f"barman/{VERSION}-{platform.machine()}-{Path(os.path.realpath(sys.executable)).name}"
    return cached(name, lambda place: install([f"barman=={VERSION}", "psycopg2-binary"], place, sys.executable))
