"""Settings as numbers in base units, and compared with what is written for them as the server itself reads it."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from exporter.datastores.postgres.session import OperationSession
from exporter.datastores.postgres.session_settings import AT_LOGIN
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

# From small to large: a fraction of one is rounded to whole ones of the unit before it.
_BYTES: Mapping[str, float] = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SECONDS: Mapping[str, float] = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}
_OWN_UNIT = re.compile(r"(\d*)([A-Za-z]+)")  # kB, or a page: 8kB
_NUMBER = re.compile(
    r"\s*+([+-]?(?:0[xX][0-9a-fA-F]++|(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?))\s*+([A-Za-z]*+)\s*+"
)
_LONGEST_NUMBER = 200  # characters, of which a float holds the value whatever its base
_OCTAL = re.compile(r"[+-]?0\d+")

_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")
# Choices that the server takes, and shows under another name.
_ALIASES: Mapping[tuple[str, str], str] = {
    ("client_min_messages", "debug"): "debug2",
    ("log_min_error_statement", "debug"): "debug2",
    ("log_min_messages", "debug"): "debug2",
    ("wal_compression", "on"): "pglz",
    ("wal_level", "archive"): "replica",
    ("wal_level", "hot_standby"): "replica",
}

# A value that our own sessions or our role set is not that of others. Where it was set after the login, reset_val has
# the value without it.
VALUES = """
SELECT
    name,
    CASE source WHEN 'session' THEN reset_val ELSE setting END AS setting,
    unit,
    vartype,
    pending_restart,
    source = 'client' OR name = ANY ($1::text[]) OR name IN (
        SELECT split_part(written, '=', 1)
        FROM pg_db_role_setting CROSS JOIN unnest(setconfig) AS written
        WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user)
    ) AS own
FROM pg_settings
"""
OWN = (*AT_LOGIN, "statement_timeout")
_NUMBERS = f"""
SELECT name, setting, unit, vartype
FROM ({VALUES}) AS s
WHERE (vartype IN ('bool', 'integer', 'real') OR name = 'archive_mode') AND NOT own
"""  # noqa: S608 - all of it is our own


class Setting(NamedTuple):
    """A row of pg_settings; not every setting has a unit."""

    name: str
    setting: str
    unit: str | None
    vartype: str


async def _settings(session: OperationSession, _params: Params, _state: None) -> Sequence[Row]:
    """Return one row, a column for each setting that is a number or a switch; None where the server lacks it."""
    values: defaultdict[str, float | None] = defaultdict(lambda: None)
    values |= {row["name"]: base_value(Setting(*row.values())) for row in await session.rows(_NUMBERS, OWN)}
    return [values]


def base_value(setting: Setting) -> float | None:
    """Return the value in seconds, in bytes or as it is; None for what is no number, or has an unknown unit."""
    if setting.vartype in ("bool", "enum"):
        return float(setting.setting != "off")
    _, factor = _scale(setting.unit)
    try:
        value = float(setting.setting)
    except ValueError:
        return None
    return value if value == -1 else factor and value * factor  # -1 has no unit: it is "none" or "as elsewhere"


def meets(setting: Setting, expected: str) -> bool | None:
    """Return whether the setting is as expected; None where the server would refuse the expected value."""
    match setting.vartype:
        case "bool":
            switch = _switch(expected)
            return None if switch is None else switch == (setting.setting == "on")
        case "enum":
            return setting.setting.lower() in _spellings(setting.name, expected.strip().lower())
        case "integer" | "real":
            number = _number(expected, setting)
            return None if number is None else number == _number(setting.setting, setting)
        case _:
            return _items(setting.setting) == _items(expected)


def _switch(text: str) -> bool | None:
    """Read a switch; any beginning of a word will do that leaves no doubt, as t, fal, of."""
    word = text.strip().lower()
    found = {words is _ON for words in (_ON, _OFF) for full in words if word and full.startswith(word)}
    return found.pop() if len(found) == 1 else None


def _spellings(name: str, word: str) -> tuple[str, ...]:
    """Return what the server may show for a choice; many can be switched on and off, too."""
    words = next((words for words in (_ON, _OFF) if word in words), (word,))
    return (*words, _ALIASES.get((name, words[0]), word))


def _items(text: str) -> list[str]:
    """Split a list; blanks around its commas mean nothing, and any other text is a list of one."""
    return [item.strip() for item in text.split(",")]


def _number(text: str, setting: Setting) -> str | None:
    """Return the number in the setting's own unit, rounded and printed as the server does."""
    match = _NUMBER.fullmatch(text)
    if match is None or len(match[1]) > _LONGEST_NUMBER:
        return None
    number, unit = match.groups()
    whole = setting.vartype == "integer"
    if "x" in number.lower():
        value = float(int(number, 16))
    elif whole and _OCTAL.fullmatch(number):
        value = float(int(number, 8))
    else:
        value = float(number)
    converted = _converted(value, unit, setting.unit) if unit else value
    if converted is None or not math.isfinite(converted):
        return None
    return f"{round(converted)}" if whole else f"{converted:g}"


def _converted(value: float, unit: str, own: str | None) -> float | None:
    units, factor = _scale(own)
    if factor is None or unit not in units:
        return None
    names = list(units)
    smaller = units[names[max(0, names.index(unit) - 1)]]
    return (
        round(value * units[unit] / smaller) * smaller / factor if smaller < units[unit] else value * smaller / factor
    )


def _scale(own: str | None) -> tuple[Mapping[str, float], float | None]:
    """Return the units that go with a setting's own, and what that is in bytes or seconds; a bare number is itself."""
    if not own:
        return {}, 1.0
    match = _OWN_UNIT.fullmatch(own)
    for units in (_BYTES, _SECONDS):
        if match and match[2] in units:
            return units, float(match[1] or 1) * units[match[2]]
    return {}, None


SETTINGS = Operation(_settings)
