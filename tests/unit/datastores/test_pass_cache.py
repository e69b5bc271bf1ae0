"""What a pass reads once."""

import asyncio
from contextlib import suppress

import pytest

from exporter.datastores.pass_cache import PassCache


class Page:
    """A page that counts how often it is read."""

    def __init__(self, *, error: Exception | None = None) -> None:
        self.error = error
        self.reads = 0
        self.answer = asyncio.Event()

    async def read(self) -> str:
        self.reads += 1
        await self.answer.wait()
        if self.error is not None:
            raise self.error
        return f"read {self.reads}"


async def test_page_is_read_once() -> None:
    cache, page, other = PassCache(), Page(), Page()
    page.answer.set()
    other.answer.set()

    assert [await cache.get("page", page.read) for _ in range(3)] == ["read 1"] * 3
    assert await cache.get("other", other.read) == "read 1"
    assert page.reads == 1


async def test_failure_is_remembered() -> None:
    cache, page = PassCache(), Page(error=ValueError("no page"))
    page.answer.set()

    for _ in range(3):
        with pytest.raises(ValueError, match="no page"):
            await cache.get("page", page.read)
    assert page.reads == 1


async def test_running_read_is_shared() -> None:
    cache, page = PassCache(), Page()
    async with asyncio.TaskGroup() as tasks:
        reads = [tasks.create_task(cache.get("page", page.read)) for _ in range(3)]
        await asyncio.sleep(0)
        page.answer.set()

    assert [read.result() for read in reads] == ["read 1"] * 3


async def test_deadline_of_the_first_read_ends_the_page_for_the_pass() -> None:
    """The query that comes next must not wait as long again."""
    cache, page = PassCache(), Page()
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await cache.get("page", page.read)
    page.answer.set()

    with pytest.raises(TimeoutError, match="page was not answered in this pass"):
        await cache.get("page", page.read)
    assert page.reads == 1


async def test_cancelled_second_caller_leaves_the_read_to_the_first() -> None:
    cache, page = PassCache(), Page()
    first = asyncio.create_task(cache.get("page", page.read))
    second = asyncio.create_task(cache.get("page", page.read))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    page.answer.set()

    assert second.cancelled()
    assert await first == "read 1"
