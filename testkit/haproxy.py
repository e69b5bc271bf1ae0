"""HAProxy with a configuration of the test's own, watched through its stats socket."""

import csv
import socket
from pathlib import Path

from testkit.debian import libraries, program
from testkit.machine import hand_over
from testkit.process import Process


class Haproxy(Process):
    """One HAProxy; `settings` are all its sections but `global`."""

    def __init__(self, settings: str) -> None:
        super().__init__("haproxy")
        self._settings = settings

    @property
    def _socket(self) -> Path:
        return self.folder / "stats"

    def statuses(self) -> dict[str, str]:
        """Return UP or DOWN of each server, by backend/server; checks that count towards a change are not shown."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(self._socket))
            client.sendall(b"show stat\n")
            with client.makefile(encoding="ascii") as answer:
                rows = list(csv.DictReader(line.removeprefix("# ") for line in answer if line.strip()))
        return {
            f"{row['pxname']}/{row['svname']}": row["status"].split()[0]
            for row in rows
            if row["svname"] not in ("FRONTEND", "BACKEND")
        }

    def _prepare(self) -> None:
        (self.folder / "haproxy.cfg").write_text(f"global\n    stats socket {self._socket}\n\n{self._settings}")
        hand_over(self.folder)

    def _environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": libraries(program("haproxy"))}

    def _command(self) -> list[str]:
        return [str(program("haproxy")), "-db", "-f", "haproxy.cfg"]

    def _ready(self) -> bool:
        return bool(self.statuses())
