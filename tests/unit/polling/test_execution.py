"""The failure boundary."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from exporter.errors import QueryError
from exporter.polling.execution import within_deadline


class Page:
    """Stands for megabytes."""


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", [QueryError("limit", "too large"), ValueError("no JSON"), None])
async def test_error_holds_no_reference_to_what_was_read(kind: Exception | None) -> None:
    """The snapshot keeps it for as long as the target is down; the collector of garbage hardly ever comes."""
    read: list[weakref.ref[Page]] = []

    async def work() -> None:
        page = Page()
        read.append(weakref.ref(page))
        caught = kind  # a frame that holds its own error is a cycle
        try:
            read[1]()
        except IndexError as error:
            raise (caught or OSError("wrapped")) from error

    with pytest.raises(QueryError) as kept:
        await within_deadline(work, 1.0, lambda _: "decode")

    assert kept.value.__traceback__ is not None
    assert read[0]() is None


@pytest.mark.usefixtures("no_collector")
async def test_timeout_holds_no_reference_to_what_was_read() -> None:
    read: list[weakref.ref[Page]] = []

    async def work() -> None:
        page = Page()
        read.append(weakref.ref(page))
        await asyncio.sleep(10)

    with pytest.raises(QueryError) as kept:
        await within_deadline(work, 0.01, lambda _: "decode")

    assert kept.value.reason == "timeout"
    assert read[0]() is None
