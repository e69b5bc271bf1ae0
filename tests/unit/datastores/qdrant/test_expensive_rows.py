"""Memory and disk: pages that exist once a collection."""

import json
from typing import Any

import pytest

from exporter.datastores.qdrant.expensive_rows import disk_rows, memory_rows
from exporter.datastores.qdrant.session import collection_path
from exporter.errors import QueryError
from tests.support.qdrant_recorded import recorded


def _reader(answers: dict[str, Any]) -> Any:
    async def read(path: str) -> object:
        if path not in answers:
            raise QueryError("query", f"{path} answered 404")
        return answers[path]

    return read


async def test_memory_by_component() -> None:
    """Components add up to the server's own totals."""
    page = json.loads(recorded("2-two-collections")["/collections/named/memory"][1])["result"]

    rows = await memory_rows(_reader({"/collections/named/memory": page}), ["named"])

    assert {row["component"] for row in rows} == {"vectors", "index", "payload", "id_tracker"}
    for kind, total in page["total"].items():
        assert sum(row[kind] for row in rows) == total  # type: ignore[misc]  # numbers, all of them


async def test_disk_is_the_sum_of_all_collections() -> None:
    """The size is configured; without collections the disk is empty."""
    answers = {f"/collections/{name}/memory": {"total": {"disk_bytes": size}} for name, size in (("a", 30), ("b", 20))}

    assert await disk_rows(_reader(answers), ["a", "b"], 200.0) == [{"used": 50.0, "size": 200.0, "used_ratio": 0.25}]
    assert await disk_rows(_reader({}), [], 200.0) == [{"used": 0.0, "size": 200.0, "used_ratio": 0.0}]


async def test_disk_without_one_page_is_an_error() -> None:
    """Half of the truth would look like room to spare."""
    with pytest.raises(QueryError, match="404"):
        await disk_rows(_reader({"/collections/a/memory": {"total": {"disk_bytes": 30}}}), ["a", "gone"], 200.0)


async def test_memory_without_any_page_is_an_error() -> None:
    """When not one page is to be had, the query fails with the reason."""
    with pytest.raises(QueryError, match="404"):
        await memory_rows(_reader({}), ["a", "b"])


def test_names_are_quoted_in_paths() -> None:
    """A collection may be named with what a path gives a meaning to."""
    assert collection_path("a/b c", "memory") == "/collections/a%2Fb%20c/memory"
