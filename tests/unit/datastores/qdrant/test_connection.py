"""What is read of a server is bounded, and read once a pass."""

import asyncio

import pytest

from exporter.datastores.http_client import BODY_BYTES
from exporter.datastores.qdrant.canary import SearchParams
from exporter.errors import QueryError
from exporter.queries.query import Query
from tests.support.qdrant_recorded import TWO, datastore, fetch, query_named, transport


async def test_failed_page_is_read_once_a_pass() -> None:
    """All queries of a page share its failure in this pass; the next pass requests it again."""
    requested: list[str] = []
    async with datastore(transport({**TWO, "/metrics": (408, "")}, requested)) as store:
        await store.ping()
        for _ in range(2):
            async with store.session("fast") as session:
                for name in ("process", "requests", "request_duration"):
                    with pytest.raises(QueryError) as error:
                        await session.fetch(query_named(name))

                    assert error.value.reason == "timeout"

    assert requested.count("/metrics") == 2


async def test_page_that_is_too_large_is_not_read() -> None:
    """The body is bounded, whatever the server sends."""
    async with datastore(transport({**TWO, "/metrics": (200, "x" * (BODY_BYTES + 1))})) as store:
        await store.ping()
        with pytest.raises(QueryError) as error:
            await fetch(store, "requests")

    assert error.value.reason == "limit"


@pytest.mark.parametrize("sign", ["[],", '{"a":1},', '{"name":"x","shards":[]},'])
async def test_pages_of_one_pass_have_a_common_bound(sign: str) -> None:
    """Each page alone is within its own: 200 of them would be gigabytes."""
    large = '{"result": [' + sign * (2**20 // len(sign)) + "0]}"
    async with datastore(transport({**TWO, **{f"/{n}": (200, large) for n in range(50)}})) as store:
        await store.ping()
        async with store.session("slow") as session:
            answers = [await asyncio.gather(session.json(f"/{n}"), return_exceptions=True) for n in range(50)]

    [error] = answers[-1]
    assert isinstance(error, QueryError)
    assert error.reason == "limit"


async def test_canarys_response_is_bounded() -> None:
    endless = {**TWO, "/collections/docs/points/query?timeout=5": (200, "x" * 2**21)}
    query = Query(
        name="canary",
        store="qdrant",
        operation="search",
        params=SearchParams(collection="docs", vector=[0.1, 0.2, 0.3, 0.4]),
    )
    async with datastore(transport(endless)) as store:
        await store.ping()
        with pytest.raises(Exception, match="larger than") as error:
            async with store.session("fast") as session:
                await session.fetch(query)

        assert store.reason(error.value) == "limit"
