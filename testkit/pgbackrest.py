"""pgBackRest, from its Debian package, with a PostgreSQL that archives into its repository."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from testkit.debian import libraries, program
from testkit.machine import guard, hand_over, run, temp_folder
from testkit.postgres import PASSWORDS, Postgres

STANZA = "demo"
SERVER = "15"  # the newest that Debian's pgBackRest knows


class Pgbackrest:
    """A server, and a repository with its stanza; `repository` is what the exporter reads."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.folder = temp_folder("pgbackrest")
        self._script = self.folder / "pgbackrest"
        self.server = Postgres(
            SERVER, {"archive_mode": "on", "archive_command": f"{self._script} --stanza={STANZA} archive-push %p"}
        )
        self._settings = settings or {}

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def start(self) -> Self:
        """Start the server and make the stanza; PostgreSQL waits a minute after a few archivings that failed."""
        found = program("pgbackrest")
        self._script.write_text(
            f'#!/bin/sh\nLD_LIBRARY_PATH={libraries(found)} exec {found} --config={self.folder}/pgbackrest.conf "$@"\n'
        )
        self._script.chmod(0o755)
        own = {
            "repo1-path": self.repository,
            "log-level-file": "off",
            "log-level-console": "warn",
            "start-fast": "y",
            **{f"{kind}-path": self.folder / kind for kind in ("log", "lock", "spool")},
        }
        server = {"path": self.server.data, "port": self.server.port, "socket-path": self.server.folder}
        lines = ["[global]", *(f"{key}={value}" for key, value in (own | dict(self._settings)).items())]
        lines += [f"[{STANZA}]", "pg1-user=postgres", *(f"pg1-{key}={value}" for key, value in server.items())]
        (self.folder / "pgbackrest.conf").write_text("\n".join(lines) + "\n")
        hand_over(self.folder)
        self.server.start()
        self.call("stanza-create")
        return self

    def backup(self, kind: str) -> None:
        """Make a backup: full, diff or incr."""
        self.call("backup", f"--type={kind}")

    def switch(self, segments: int = 1) -> None:
        """Fill so many segments with a little, and wait until they are archived."""
        for _ in range(segments):
            self.server.psql("SELECT pg_logical_emit_message(true, 'x', 'x')")
            self.call("check")

    def call(self, *words: str) -> str:
        environment = {"PGPASSWORD": PASSWORDS["postgres"]}
        return run([str(self._script), f"--stanza={STANZA}", *words], self.folder, environment)

    def close(self) -> None:
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        guard.tell(f"removed {self.folder}")
