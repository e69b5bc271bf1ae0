"""Compare versions of servers as numbers."""

import operator
import re
from collections.abc import Callable, Mapping

_CLAUSE = re.compile(r"^\s*(>=|<=|==|>|<)\s*(\d+(?:\.\d+)*)\s*$")
_VERSION = re.compile(r"\D*(\d{1,9}(?:\.\d{1,9})*)")
_COMPARE: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def version_key(version: str) -> tuple[int, ...]:
    """Return the leading dotted number as integers: 5.10 sorts after 5.9, and 15 is the same as 15.0."""
    match = _VERSION.match(version)
    parts = [int(part) for part in match[1].split(".")] if match else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def version_satisfies(version: str, specifier: str) -> bool:
    """Return whether every clause holds, as in ">=15,<18"; raise ValueError for one that is malformed."""
    # A list, not a generator: all clauses are parsed even if the first does not hold.
    holds = [_clause_holds(version_key(version), clause) for clause in specifier.split(",")]
    return all(holds)


def _clause_holds(version: tuple[int, ...], clause: str) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        raise ValueError(f"{clause!r} is not a version clause such as '>=15'")
    return _COMPARE[match[1]](version, version_key(match[2]))
