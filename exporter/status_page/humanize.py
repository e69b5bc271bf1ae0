"""Names, numbers and reasons as people read them; each function is pure."""

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from exporter.units import span

# Codes of /health; any other is shown unchanged.
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "connect": "no connection",
        "auth": "login refused",
        "timeout": "no answer in time",
        "privilege": "permission denied",
        "unsupported": "not offered by this server",
        "query": "the server could not answer",
        "decode": "the answer was not understood",
        "limit": "a limit was reached",
        "starting": "not asked yet",
        "stale": "not asked for too long",
        "flapping": "it came and went too often: held here until it is quiet",
        "not_exposed_by_server": "the server does not tell",
        "no_recent_sample": "no recent value",
    }
)
_TITLES: Mapping[str, str] = MappingProxyType({"queries": "failing queries", "overrun": "queries asked too seldom"})
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])(?![A-Z])")
_SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_STEP = 1024
_DIGITS = (3, 4, 5, 6)  # tried in turn until a value differs from its limit
_LONG = 600  # seconds: from here on a value reads better as minutes
_THOUSAND = 1000
_HUGE = 1e15


def reason(code: str) -> str:
    return _REASONS.get(code, code)


def title(name: str) -> str:
    """Return a check's name as words: replicationLag is replication lag."""
    if name in _TITLES:
        return _TITLES[name]
    return _CAPITAL.sub(lambda match: " " + match[1].lower(), name)


def quantity(value: float, unit: str | None, digits: int = _DIGITS[0]) -> str:
    """Return a value with its unit, rounded: 91.2 %, 1.4 ms, 256 MiB, 1,234."""
    if not math.isfinite(value) or abs(value) >= _HUGE:
        return f"{value:.2g}"
    if unit == "ratio":
        return f"{_number(100 * value, digits)} %"
    if unit == "seconds":
        return _seconds(value, digits)
    if unit == "bytes":
        return _size(value, digits)
    return _number(value, digits) + (f" {unit}" if unit else "")


def against(value: float, limit: float, unit: str | None) -> tuple[str, str]:
    """Return a value and its limit, with enough digits that different numbers differ as text."""
    for digits in _DIGITS:
        pair = quantity(value, unit, digits), quantity(limit, unit, digits)
        if pair[0] != pair[1]:
            break
    return pair


def listed(names: Sequence[str], most: int) -> str:
    """Return names as part of a sentence: a, b and 3 more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip(" ,") + "…"


def _number(value: float, digits: int) -> str:
    if value == 0 or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{value:.{min(decimals, 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _seconds(value: float, digits: int) -> str:
    if value >= _LONG:
        return span(value) if digits == _DIGITS[0] else f"{value:,.0f} s"
    if value == 0 or value >= 1 or value < 0:
        return f"{_number(value, digits)} s"
    milliseconds = value * _THOUSAND
    return f"{_number(milliseconds, digits)} ms" if milliseconds >= 1 else f"{_number(value * 1e6, digits)} µs"


def _size(value: float, digits: int) -> str:
    power = 0
    while abs(value) >= _STEP and power < len(_SIZES) - 1:
        value, power = value / _STEP, power + 1
    return f"{_number(value, digits)} {_SIZES[power]}"
