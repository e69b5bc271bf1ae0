"""The operations of query files for the toy store."""

from collections.abc import Mapping, Sequence

from exporter.queries.operation import Operation
from exporter.queries.query import Row


def shelf_rows(shelves: Mapping[str, Mapping[str, int]]) -> Sequence[Row]:
    """Return a row a shelf, with the share of its places that hold a toy."""
    return [
        {"shelf": name, "toys": shelf["toys"], "used_ratio": shelf["toys"] / shelf["places"]}
        for name, shelf in shelves.items()
    ]


OPERATIONS: Mapping[str, Operation] = {"shelves": Operation(shelf_rows, reads=("shelves",))}
