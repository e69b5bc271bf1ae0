"""The real client against the double's engine, or against the server of QDRANT_TEST_URL."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from qdrant_client import AsyncQdrantClient, models

from testkit.qdrant_double.replay import POINTS, fill, vector, wait_indexed
from testkit.session import Servers


@pytest.fixture
async def client(servers: Servers) -> AsyncIterator[AsyncQdrantClient]:
    server = servers.qdrant()
    key = {"api-key": server.api_key} if server.api_key else {}  # `api_key=` warns without TLS
    client = AsyncQdrantClient(url=server.url, metadata=key, check_compatibility=False, prefer_grpc=False)
    yield client
    await client.close()


@pytest.fixture
async def name(client: AsyncQdrantClient) -> AsyncIterator[str]:
    """Return the name of a collection that goes after the test."""
    name = f"double-{random.getrandbits(32):08x}"
    yield name
    await client.delete_collection(name)


async def test_round_trip(client: AsyncQdrantClient, name: str) -> None:
    """The real client makes a collection and writes, finds, pages and deletes points in it."""
    vectors = {"body": models.VectorParams(size=2, distance=models.Distance.DOT)}
    await client.create_collection(name, vectors, sparse_vectors_config={"words": models.SparseVectorParams()})
    words = models.SparseVector(indices=[1, 5], values=[0.5, 0.25])
    points = [
        models.PointStruct(id=number, vector={"body": [number, 1.0], "words": words}, payload={"half": number // 2})
        for number in range(1, 7)
    ]
    await client.upsert(name, points)
    await client.create_payload_index(name, "half", models.PayloadSchemaType.INTEGER)
    half = models.Filter(must=[models.FieldCondition(key="half", match=models.MatchValue(value=1))])

    near = await client.query_points(name, [1.0, 0.0], using="body", limit=2, with_payload=True)
    assert [(point.id, point.score, point.payload) for point in near.points] == [
        (6, 6.0, {"half": 3}),
        (5, 5.0, {"half": 2}),
    ]
    assert [point.id for point in (await client.query_points(name, 6, using="body")).points] == [5, 4, 3, 2, 1]
    assert [point.id for point in (await client.query_points(name, [1.0, 0.0], using="body", query_filter=half)).points]
    assert (await client.query_points(name, words, using="words", limit=1)).points[0].score == 0.3125
    batch = [models.QueryRequest(query=[1.0, 0.0], using="body", limit=1), models.QueryRequest(limit=3)]
    assert [len(answer.points) for answer in await client.query_batch_points(name, batch)] == [1, 3]
    assert (await client.count(name, half)).count == 2
    first, after = await client.scroll(name, limit=4)
    rest, end = await client.scroll(name, limit=4, offset=after)
    assert ([record.id for record in (*first, *rest)], end) == ([1, 2, 3, 4, 5, 6], None)
    assert (await client.retrieve(name, [3], with_vectors=["body"]))[0].vector == {"body": [3.0, 1.0]}
    assert (await client.get_collection(name)).payload_schema["half"].points == 6
    await client.delete(name, half)
    assert (await client.count(name)).count == 4


async def test_good_graph_finds_what_an_exact_search_finds(client: AsyncQdrantClient, name: str) -> None:
    assert await _recall(client, name, links=16, effort=128) >= 0.95


async def test_poor_graph_misses_neighbours(client: AsyncQdrantClient, name: str) -> None:
    assert 0 < await _recall(client, name, links=2, effort=4) <= 0.7


async def _recall(client: AsyncQdrantClient, name: str, *, links: int, effort: int) -> float:
    """Return the share of the exact search's ten nearest points that the graph finds too."""
    source = random.Random(7)
    await client.create_collection(
        name,
        models.VectorParams(size=48, distance=models.Distance.COSINE),
        hnsw_config=models.HnswConfigDiff(m=links, ef_construct=max(effort, 4), full_scan_threshold=10),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=50, default_segment_number=1),
    )
    vectors = [[source.gauss(0, 1) for _ in range(48)] for _ in range(2000)]
    await client.upsert(name, [models.PointStruct(id=number, vector=one) for number, one in enumerate(vectors)])
    deadline = time.monotonic() + 30
    while (await client.get_collection(name)).indexed_vectors_count != 2000:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    found = 0
    for _ in range(20):
        wanted = [source.gauss(0, 1) for _ in range(48)]
        quick, exact = models.SearchParams(hnsw_ef=effort), models.SearchParams(exact=True)
        answers = [await client.query_points(name, wanted, limit=10, search_params=how) for how in (quick, exact)]
        ids = [{point.id for point in answer.points} for answer in answers]
        found += len(ids[0] & ids[1])
    return found / 200


async def test_indexing_is_yellow_then_green(client: AsyncQdrantClient, name: str) -> None:
    """While the index is built the server reports it, and responds as fast as ever."""
    source = random.Random(8)
    await client.create_collection(
        name,
        models.VectorParams(size=64, distance=models.Distance.COSINE),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=50, default_segment_number=1),
    )
    points = [models.PointStruct(id=number, vector=[source.gauss(0, 1) for _ in range(64)]) for number in range(3000)]
    await client.upsert(name, points)
    states: list[models.CollectionStatus] = []
    slowest, deadline = 0.0, time.monotonic() + 30
    while states[-1:] != [models.CollectionStatus.GREEN]:
        begin = time.monotonic()
        states.append((await client.get_collection(name)).status)
        await client.query_points(name, [0.1] * 64)
        slowest = max(slowest, time.monotonic() - begin)
        assert begin < deadline

    assert states[0] == models.CollectionStatus.YELLOW
    assert slowest < 1.0
    assert (await client.get_collection(name)).indexed_vectors_count == 3000


def test_backlog_from_before_a_crash_is_grey(servers: Servers) -> None:
    """The server waits with old work until the next write, and keeps every point."""
    with servers.private_qdrant() as server, httpx.Client(base_url=server.url) as client:
        fill(client)
        points = [{"id": 10_000 + number, "vector": vector()} for number in range(1000)]
        client.put("/collections/docs/points?wait=true", json={"points": points}).raise_for_status()
        server.kill()
        server.start()
        info = client.get("/collections/docs").json()["result"]
        client.put("/collections/docs/points?wait=true", json={"points": points[:1]}).raise_for_status()
        wait_indexed(client, "docs")

    assert (info["status"], info["points_count"]) == ("grey", POINTS + 1000)
