"""The file that PostgreSQL's clients keep passwords in."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from exporter.libpq import Conninfo, Host

_MOST_BYTES = 1 << 20
_FIELD = re.compile(r"((?:[^\\:]|\\.)*)(?::|$)")


def password_in_file(info: Conninfo, host: Host, database: str) -> str | None:
    """Return the password of the first line that fits; None where no line does, or nobody else may read the file."""
    named = info.word("passfile")
    file = Path(named) if named else Path(os.environ.get("HOME", "/")) / ".pgpass"
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_size > _MOST_BYTES:
            return None
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return None
    wanted = ("localhost" if host.socket else host.name, str(host.port), database, info.user)
    for line in lines:
        *pattern, password = _fields(line) or [""]
        if (
            not line.startswith("#")
            and len(pattern) == len(wanted)
            and all(said in ("*", want) for said, want in zip(pattern, wanted, strict=True))
        ):
            return password
    return None


def _fields(line: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", field) for field in list(_split(line))[:5]]


def _split(line: str) -> Iterator[str]:
    at = 0
    while match := _FIELD.match(line, at):
        yield match[1]
        at = match.end()
        if at >= len(line):
            return
