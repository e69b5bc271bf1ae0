"""pgBackRest's `backup.info`: sections of keys whose values are JSON, and a checksum of it all.

Source: the pages "Repository" and "info" of pgBackRest's documentation, and `src/info/info.c` for the checksum.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from exporter.datastores.json_text import PARSED_BYTES, Json, cost

_MOST_LINES = 20_000
_CHECKSUM = ("backrest", "backrest-checksum")


@dataclass(frozen=True, slots=True)
class Info:
    """A `backup.info`. whole: it ends with its checksum, and that is right. backups: by label."""

    whole: bool
    backups: Mapping[str, Json]
    archives: Mapping[int, str]  # their names, as 15-1, by number of the database


def parse_info(content: bytes) -> Info:
    """Parse a file; lines that cannot be read, or are too many, are left out: then it is not whole."""
    lines = list(islice(_lines(content.decode("utf-8", "replace")), _MOST_LINES))
    sections: dict[str, dict[str, Any]] = {}
    left, read = PARSED_BYTES, True
    for section, key, text in lines:
        needed = cost(text.encode())
        if needed > left:
            read = False
            continue
        left -= needed
        sections.setdefault(section, {})[key] = _value(text)
    told = [text.strip('"') for section, key, text in lines if (section, key) == _CHECKSUM]
    backups = sections.get("backup:current", {})
    return Info(
        read and told == [_checksum(lines)],
        {label: value for label, value in backups.items() if isinstance(value, Mapping)},
        dict(_archives(sections.get("db:history", {}))),
    )


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    section = ""
    for line in text.split("\n"):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line:
            key, equals, value = line.partition("=")
            if equals:
                yield section, key, value


def _checksum(lines: list[tuple[str, str, str]]) -> str:
    """Return the SHA-1 of the file as if it were one JSON object without white space, without the checksum's line."""
    parts, open_section = ["{"], None
    for section, key, value in lines:
        if (section, key) == _CHECKSUM:
            continue
        if section != open_section:
            parts += ["" if open_section is None else "},", f'"{section}":{{']
            open_section = section
        else:
            parts.append(",")
        parts.append(f'"{key}":{value}')
    parts.append("}}")
    return hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _archives(history: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    for number, value in history.items():
        if number.isdecimal() and len(number) < 10 and isinstance(value, Mapping):  # noqa: PLR2004 - digits of an int
            yield int(number), f"{value.get('db-version')}-{int(number)}"
