"""Parse JSON that a server sent: within a bound of memory, off the loop where it is large."""

import json
from typing import Any

from exporter.datastores.off_loop import off_loop
from exporter.errors import QueryError

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
