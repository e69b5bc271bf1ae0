"""Parse durations and sizes, such as 1h30m and 500GiB, and format durations, such as 3 h 12 min."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_CENTURY = 36525 * 86400.0
_MAX_CHARACTERS = 100
_SPANS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(value: object) -> float:
    """Return seconds; raise ValueError for anything but a positive duration with a unit."""
    text = str(value)
    parts = _PART.findall(text[:_MAX_CHARACTERS])
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text[:_MAX_CHARACTERS]!r} is not a duration such as 500ms, 15s, 5m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds < _CENTURY:
        raise ValueError("a duration must be longer than nothing, and shorter than a century")
    return seconds


Duration = Annotated[float, BeforeValidator(parse_duration)]


def span(seconds: float) -> str:
    """Format seconds in the two largest units: 52 s, 4 min, 3 h 12 min, 12 d."""
    left = max(0, math.floor(seconds))
    parts: list[tuple[int, str]] = []
    for unit, size in _SPANS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, unit))
    (count, unit), *smaller = parts or [(0, "s")]
    second = smaller[0] if smaller and smaller[0][0] and unit in "dh" else None
    return f"{count} {unit}" + (f" {second[0]} {second[1]}" if second else "")


_BYTE_UNITS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_bytes(value: object) -> float:
    """Return bytes; raise ValueError for anything but a positive size. GB is 10^9 bytes, GiB 2^30."""
    match = _SIZE.fullmatch(str(value).strip())
    unit = _BYTE_UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None or not 0 < float(match[1]) * unit < math.inf:
        raise ValueError(f"{str(value)!r} is not a size such as 500GiB or 2TB")
    return float(match[1]) * unit


Bytes = Annotated[float, BeforeValidator(parse_bytes)]
