"""The failure boundary."""

import asyncio
import gc
import weakref
from collections.abc import Iterator, Sequence

import pytest

from exporter.datastores.caches import PassCache
from exporter.errors import QueryError
from exporter.polling.execution import QueryRun, execute_query, within_deadline
from exporter.queries.query import Query, Row
from tests.support.factories import info, monitored_target, query
from tests.support.fakes import Fake


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


class Session:
    """One pass, which holds its pages, one of them a failure that two queries get."""

    def __init__(self) -> None:
        self.page = Page()
        self.cache = PassCache()

    async def fetch(self, query: Query, database: str | None = None) -> Sequence[Row]:  # noqa: ARG002 - the Protocol's
        return await self.cache.get("page", self._read)

    async def _read(self) -> Sequence[Row]:
        raise QueryError("decode", "no page")


@pytest.mark.usefixtures("no_collector")
async def test_failed_result_holds_no_reference_to_the_pages_of_its_pass() -> None:
    session = Session()
    page = weakref.ref(session.page)
    run = QueryRun(monitored_target(), query(), None, info(), 1.0)
    results = [await execute_query(run, session, Fake()) for _ in range(2)]
    del session

    assert [str(result.error) for result in results] == ["no page"] * 2
    assert page() is None
