"""Series for the largest buckets, and one row for all others together, as for tables."""

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest

from pydantic import Field

from exporter.queries.operation import Params
from exporter.queries.query import Row

_FAVOUR = 1.25  # a member may be so much smaller than a bucket outside, so that members change seldom


class LargestParams(Params):
    """How many buckets have series of their own."""

    top: int = Field(default=2000, ge=1, le=2000)


class Members:
    """The buckets that have series, from one poll to the next."""

    def __init__(self) -> None:
        self._names: frozenset[object] = frozenset()

    def divide(self, sizes: Mapping[object, float], top: int) -> frozenset[object]:
        """Choose and remember the names of the largest."""
        weights = {name: size * (_FAVOUR if name in self._names else 1) for name, size in sizes.items()}
        self._names = frozenset(nlargest(top, weights, key=weights.__getitem__))
        return self._names


def with_others(rows: Iterable[Row], chosen: frozenset[object], sums: Sequence[str]) -> list[Row]:
    """Return the rows of the chosen buckets, and one with the columns `others` and `other_<sum>` for those left.

    A sum is None where the number is known of none of the others.
    """
    kept: list[Row] = []
    left: list[Row] = []
    for row in rows:
        (kept if row["bucket"] in chosen else left).append(row)
    columns = {f"other_{name}": _sum(left, name) for name in sums} | {"others": float(len(left))}
    no_others: Row = dict.fromkeys(columns)
    return [*({**row, **no_others} for row in kept), {"bucket": None, **dict.fromkeys(sums), **columns}]


def _sum(rows: Sequence[Row], name: str) -> float | None:
    values = [float(value) for row in rows if isinstance(value := row[name], int | float)]
    return sum(values) if values or not rows else None
