"""Operations, which stand in where a store has no query for something."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from exporter.config.stores import STORES
from exporter.datastores import operations
from exporter.errors import QueryError
from exporter.queries.operation import Operation, Params, States, run_operation
from exporter.queries.query import Row
from tests.support.factories import query
from tests.support.fakes import Fake


class Threshold(Params):
    above: int = 0


async def count(_: object, params: Threshold, state: list[int]) -> Sequence[Row]:
    """Count its own calls."""
    state.append(params.above)
    return [{"calls": len(state)}]


OPERATIONS = {"count": Operation(count, Threshold, list)}
COUNT = query(query=None, operation="count", params=Threshold(above=3))


async def test_state_is_kept_between_polls() -> None:
    """One for each query and database, so that two never mix."""
    states: States = {}
    async with Fake().session("fast") as session:
        calls = [
            await run_operation(OPERATIONS, states, session, COUNT, database)
            for database in ("app", "app", "log", None, "app")
        ]

    assert [rows[0]["calls"] for rows in calls] == [1, 2, 1, 1, 3]
    assert states["sizes", "app"] == [3, 3, 3]


async def test_a_store_without_a_query_language_rejects_a_text() -> None:
    async with Fake().session("fast") as session:
        with pytest.raises(QueryError, match="sizes: postgres has operations only") as caught:
            await run_operation(OPERATIONS, {}, session, query(), None)

    assert caught.value.reason == "query"


class PageSession:
    """A session that names the page it has read."""

    async def read(self, page: str) -> str:
        return f"page {page}"

    async def make_rows(self, make: Callable[..., Sequence[Row]], *arguments: Any) -> Sequence[Row]:
        return make(*arguments)


def of_pages(one: str, two: str) -> Sequence[Row]:
    return [{"one": one, "two": two}]


def of_page_and_params(page: str, params: Threshold, state: list[int]) -> Sequence[Row]:
    state.append(params.above)
    return [{"page": page, "calls": len(state)}]


@pytest.mark.parametrize(
    ("operation", "rows"),
    [
        (Operation(of_pages, reads=("a", "b")), [{"one": "page a", "two": "page b"}]),
        (Operation(of_page_and_params, Threshold, list, reads=("a",)), [{"page": "page a", "calls": 1}]),
    ],
)
async def test_operation_with_reads_gets_pages_then_its_own_params_and_state(
    operation: Operation, rows: Sequence[Row]
) -> None:
    assert await run_operation({"count": operation}, {}, PageSession(), COUNT, None) == rows


def test_operations_are_known_without_a_client() -> None:
    """Query files are checked at start-up; a client takes half a second."""
    known = f"for store in {sorted(STORES)}: operations(store)"
    code = f"import sys; from exporter.datastores import operations\n{known}\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    params = [operation.params for store in STORES for operation in operations(store).values()]

    assert {"asyncpg", "qdrant_client", "neo4j", "minio"} & set(loaded) == set()
    assert [found for found in params if not issubclass(found, Params)] == []
