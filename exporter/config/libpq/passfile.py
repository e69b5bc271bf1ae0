"""The password file of PostgreSQL's clients, ~/.pgpass."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.config.files import in_time, read_bounded
from exporter.config.libpq.conninfo import Conninfo

_FIELD = re.compile(r"((?:[^\\:]|\\.)*)(?::|$)")


def password_in_file(info: Conninfo, database: str) -> str | None:
    """Return the password of the first line that fits one of the hosts; None without one.

    A file that others may read is ignored, as by libpq.
    """
    named = info.get("passfile")
    file = Path(named) if named else Path(os.environ.get("HOME", "/")) / ".pgpass"
    try:
        if in_time(file, file.stat).st_mode & 0o077:
            return None
        lines = read_bounded(file).decode(errors="replace").splitlines()
    except OSError:
        return None
    entries = [_fields(line) for line in lines if not line.startswith("#")]
    for host in info.hosts:
        wanted = ["localhost" if host.socket else host.name, str(host.port), database, info.user]
        for entry in entries:
            if len(entry) == len(wanted) + 1 and all(map(_fits, entry, wanted)):
                return entry[-1]
    return None


def _fits(written: str, wanted: str) -> bool:
    return written in ("*", wanted)


def _fields(line: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", field) for field in list(_split(line))[:5]]


def _split(line: str) -> Iterator[str]:
    at = 0
    while match := _FIELD.match(line, at):
        yield match[1]
        at = match.end()
        if at >= len(line):
            return
