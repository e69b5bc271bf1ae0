"""Pick values out of parsed JSON, whose shape differs between the versions of a server: what is missing is None."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]


def at(page: object, *keys: str) -> Any:
    """Follow keys into a page; return None where one of them is missing."""
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
