"""A pass reads each page once; facts are read seldom, and at once where they may have changed."""

import asyncio
import time
from contextlib import suppress

import pytest

from exporter.datastores.caches import FACTS_SECONDS, CachedFacts, PassCache


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


class Server:
    def __init__(self) -> None:
        self.reads = 0
        self.facts: CachedFacts[int] = CachedFacts()

    async def read(self) -> int:
        self.reads += 1
        return self.reads

    async def get(self, key: object = None) -> int:
        return await self.facts.get(self.read, key)


async def test_facts_are_read_once() -> None:
    server = Server()
    assert (server.facts.known, server.facts.valid, server.facts.expired) == (None, False, True)

    assert [await server.get() for _ in range(3)] == [1, 1, 1]
    assert (server.facts.known, server.facts.valid, server.facts.expired) == (1, True, False)


async def test_facts_are_read_again_with_another_key() -> None:
    server = Server()

    assert [await server.get(key) for key in ("a", "a", "b", "b", "a")] == [1, 1, 2, 2, 3]


async def test_facts_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    server, now = Server(), 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    await server.get()
    now += FACTS_SECONDS - 1
    assert await server.get() == 1

    now += 1
    assert server.facts.is_due()
    assert await server.get() == 2

    server.facts.keep(9, 5.0)
    assert await server.get() == 9
    now += 5
    assert await server.get() == 3


async def test_invalid_facts_stay_known_until_they_are_read_again() -> None:
    server = Server()
    await server.get()
    server.facts.invalidate()

    assert (server.facts.known, server.facts.is_due()) == (1, True)
    assert await server.get() == 2


async def test_facts_are_invalid_after_a_failure() -> None:
    server = Server()
    await server.get()
    with pytest.raises(OSError, match="no route"), server.facts.invalid_after_failure():
        raise OSError("no route")

    assert await server.get() == 2


async def test_facts_that_cannot_be_read_stay_invalid() -> None:
    facts: CachedFacts[int] = CachedFacts()

    async def fail() -> int:
        raise OSError("no route")

    with pytest.raises(OSError, match="no route"):
        await facts.get(fail)
    assert facts.is_due()


async def test_invalidation_during_a_read_leads_to_another_one() -> None:
    """What was read may be older than the sign of the change."""
    server = Server()

    async def read() -> int:
        server.facts.invalidate()
        return await server.read()

    assert await server.facts.get(read) == 1
    assert await server.get() == 2


async def test_facts_that_are_none_are_cached() -> None:
    facts: CachedFacts[bytes | None] = CachedFacts()
    reads: list[int] = []

    async def read() -> None:
        reads.append(1)

    assert [await facts.get(read) for _ in range(3)] == [None] * 3
    assert len(reads) == 1
