"""JSON that a server sent: parsed within a bound of memory, off the loop where it is large, and read by keys."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from exporter.datastores.off_loop import off_loop
from exporter.errors import QueryError

Json = Mapping[str, Any]

PARSED_BYTES = 32 * 2**20
# The most memory that each character of a text takes once parsed: 2 MB of `[]` or of `{"a":1}` become 50 MB.
_COSTS = {b"{": 200, b"[": 80, b",": 40}
_LONGEST_INTEGER = 300  # digits: what a float can hold


async def parse_json(content: bytes, what: str, most: int = PARSED_BYTES) -> Any:
    """Parse a JSON text; raise QueryError, with the name `what`, for one too large or malformed.

    most: the memory that it may take, in bytes, as `cost` estimates it.
    """
    return await off_loop(len(content), _parsed, content, what, most)


def _parsed(content: bytes, what: str, most: int) -> Any:
    if cost(content) > most:
        raise QueryError("limit", f"{what} would take more memory than the {most} bytes that are left for it")
    try:
        return json.loads(
            content, object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal, parse_constant=_constant
        )
    except (ValueError, RecursionError):
        raise QueryError("decode", f"{what} is no JSON that can be read") from None


def cost(content: bytes) -> int:
    """Estimate the memory that a text takes when it is parsed, in bytes."""
    text = len(content) * (1 if content.isascii() else 4)
    return text + sum(count * content.count(sign) for sign, count in _COSTS.items())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, in Python: so other threads run meanwhile, which the parser in C prevents."""
    return dict(pairs)


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError("an integer that no float can hold")
    return int(digits)


def _decimal(digits: str) -> float:
    """Parse a number, in Python for the same reason."""
    return float(digits)


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def at(page: object, *keys: str) -> Any:
    """Follow keys into a page, whose shape differs between versions; return None where one of them is missing."""
    for key in keys:
        if not isinstance(page, Mapping):
            return None
        page = page.get(key)
    return page


def number(page: object, *keys: str) -> float | None:
    """Return a number of a page; None where it is missing or no number."""
    value = at(page, *keys)
    return float(value) if isinstance(value, int | float) else None


def objects(page: object, *keys: str) -> list[Json]:
    """Return the objects in an array of a page; servers may leave out an empty one, or write null."""
    value = at(page, *keys)
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def total(values: Iterable[float | None]) -> float | None:
    """Add up the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def timestamp(value: object) -> float | None:
    """Read a time such as 2026-11-21T02:43:09.660Z as Unix time; without a zone it is UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # the latter for a moment before the year 1 in UTC
        return None
