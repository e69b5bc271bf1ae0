"""Values of PostgreSQL, read and written as postgres_exporter 0.11.1 does."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

Number = float | None

# Possessive (++), and from the first digit on alone: a tenant's text of nothing but digits takes no longer than others.
_NUMBER = re.compile(r"[+-]?(?:(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|inf|infinity)|nan", re.IGNORECASE)
_CLOCK = re.compile(r"(?<!\d)(\d++):(\d\d):(\d\d(?:\.\d++)?)")
_SPAN = re.compile(r"(?<![\d.])(\d++(?:\.\d++)?)\s*+(ns|us|µs|ms|s|m|h|days?|d|w)(?![a-zµ])")
_MILLISECONDS = {
    "ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6,
    "d": 8.64e7, "day": 8.64e7, "days": 8.64e7, "w": 6.048e8,
}  # fmt: skip
_NO_FLOAT = (OverflowError, ValueError)  # an int too large, a signalling NaN
_NUMBERS = frozenset({float, int, bool, Decimal, type(None)})
_PLAIN_EXPONENTS = range(-4, 6)  # of ten, that Go writes out
_QUOTED = re.compile(r'^$|[\s{}",\\]')  # what an array's text puts into quotes
_INFINITIES = {datetime.max.replace(tzinfo=UTC): math.inf, datetime.min.replace(tzinfo=UTC): -math.inf}


def numbers(values: Sequence[Any], read: Callable[[object], Number]) -> Sequence[Number]:
    """Read a column; one of nothing but numbers, as most are, in a tenth of the time."""
    if _NUMBERS.issuperset(map(type, values)):
        with suppress(*_NO_FLOAT):
            return [None if value is None else float(value) for value in values]
    return list(map(read, values))


def number(value: object) -> float | None:
    """Read what postgres_exporter takes for a number: texts and points in time, too; None where it is none."""
    if isinstance(value, bool | int | float | Decimal):
        try:
            return float(value)
        except _NO_FLOAT:
            return None
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return _unix_time(value) if isinstance(value, date) else None


def _unix_time(value: date) -> float:
    """Return whole seconds; asyncpg has the ends of the calendar for PostgreSQL's infinities, and all in UTC."""
    point = value.replace(tzinfo=UTC) if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
    return _INFINITIES.get(point) or float(math.floor(point.timestamp()))


def milliseconds(value: object) -> float | None:
    """Read an interval, or a text such as 1h30m, '1d 2h' or '1 day 02:00:00'; a mere number is milliseconds."""
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    if not isinstance(value, str) or number(value) is not None:
        return number(value)
    text = value.strip().lower()
    sign, text = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    if not text or _SPAN.sub("", _CLOCK.sub("", text)).strip():
        return None
    spans = sum(float(count) * _MILLISECONDS[unit] for count, unit in _SPAN.findall(text))
    clocks = sum((float(h) * 3600 + int(m) * 60 + float(s)) * 1000 for h, m, s in _CLOCK.findall(text))
    return sign * (spans + clocks)


def mapped(mapping: Mapping[str, float], value: object) -> float | None:
    """Return what the text stands for; a number stands for itself."""
    found = mapping.get(label_text(value)) if value is not None else None
    return number(value) if found is None else found


def label_text(value: object) -> str:
    """Write a value as postgres_exporter writes it into a label."""
    for kind, write in _TEXTS.items():
        if isinstance(value, kind):
            return write(value)
    return str(value)


def _array_text(values: list[object]) -> str:
    texts = ["NULL" if value is None else label_text(value) for value in values]
    return "{" + ",".join(json.dumps(t, ensure_ascii=False) if _QUOTED.search(t) else t for t in texts) + "}"


def _time_text(value: date) -> str:
    seconds = _unix_time(value)
    return f"{seconds:.0f}" if math.isfinite(seconds) else f"{seconds}inity"


def _float_text(value: float) -> str:
    """Write a float the way Go does."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:+}".replace("inf", "Inf")
    exact = Decimal(repr(value)).normalize()
    if exact.adjusted() in _PLAIN_EXPONENTS or not exact:
        return format(exact, "f")
    digits, _, exponent = format(exact, "e").partition("e")
    return f"{digits}e{int(exponent):+03d}"


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "",
    float: _float_text,
    Decimal: lambda value: format(value, "f"),
    date: _time_text,
    bytes: lambda value: value.decode(errors="replace"),
    list: _array_text,
}
