"""Some load on the stores that `WITH=` adds."""

import asyncio
import io
import os
import random
from collections.abc import Awaitable, Callable

from testkit.minio import Minio
from testkit.neo4j import Neo4j
from testkit.qdrant import Qdrant

Work = Callable[[], Awaitable[None]]

_PEOPLE = 500
_SIZE = 32  # numbers in a vector


async def friends(server: Neo4j) -> None:
    """Make people know each other, some ten transactions a second."""
    from neo4j import AsyncGraphDatabase  # noqa: PLC0415 - imported only if the store is added
    from neo4j.exceptions import DriverError, Neo4jError  # noqa: PLC0415

    async with AsyncGraphDatabase.driver(server.url, auth=(server.user, server.password)) as driver:

        async def begin() -> None:
            await driver.execute_query("CREATE CONSTRAINT person IF NOT EXISTS FOR (p:Person) REQUIRE p.id IS UNIQUE")
            await driver.execute_query("UNWIND range(1, $n) AS id MERGE (:Person {id: id})", n=_PEOPLE)

        async def step() -> None:
            pair = {"a": random.randint(1, _PEOPLE), "b": random.randint(1, _PEOPLE)}
            await driver.execute_query("MATCH (a:Person {id: $a}), (b:Person {id: $b}) MERGE (a)-[:KNOWS]->(b)", pair)
            await driver.execute_query("MATCH (:Person {id: $a})-[:KNOWS*1..2]->(p) RETURN count(p)", pair)

        await _repeat(begin, step, 0.2, (OSError, DriverError, Neo4jError))


async def photos(server: Minio) -> None:
    """Put an object and get another one, twice a second."""
    import urllib3  # noqa: PLC0415
    from minio import Minio as Client  # noqa: PLC0415
    from minio.error import MinioException  # noqa: PLC0415

    pool = urllib3.PoolManager(timeout=5, retries=False)
    client = Client(
        f"127.0.0.1:{server.port}", access_key=server.access_key, secret_key=server.secret_key, secure=False,
        http_client=pool,
    )  # fmt: skip

    async def begin() -> None:
        for bucket in ("photos", "invoices"):
            if not await asyncio.to_thread(client.bucket_exists, bucket):
                await asyncio.to_thread(client.make_bucket, bucket)

    def put_and_get() -> None:
        name, size = f"photo-{random.randint(1, 300)}.jpg", random.randint(1000, 200_000)
        client.put_object("photos", name, io.BytesIO(os.urandom(size)), size)
        with client.get_object("photos", name) as answer:
            answer.read()

    async def step() -> None:
        await asyncio.to_thread(put_and_get)

    await _repeat(begin, step, 0.5, (OSError, MinioException, urllib3.exceptions.HTTPError))


async def searches(server: Qdrant) -> None:
    """Search for the nearest points, and change one, twice a second."""
    import httpx  # noqa: PLC0415

    points = "/collections/products/points"

    async with httpx.AsyncClient(base_url=server.url, timeout=5, trust_env=False) as client:

        async def begin() -> None:
            await client.put("/collections/products", json={"vectors": {"size": _SIZE, "distance": "Cosine"}})
            await client.put(points, json={"points": [_point(number) for number in range(1, 1001)]})

        async def step() -> None:
            await client.put(points, json={"points": [_point(random.randint(1, 1000))]})
            await client.post(f"{points}/query", json={"query": _vector(), "limit": 10})

        await _repeat(begin, step, 0.5, (httpx.HTTPError,))


def _point(number: int) -> dict[str, object]:
    return {"id": number, "vector": _vector(), "payload": {"kind": f"kind-{number % 7}"}}


def _vector() -> list[float]:
    return [random.uniform(-1, 1) for _ in range(_SIZE)]


async def _repeat(begin: Work, step: Work, seconds: float, problems: tuple[type[Exception], ...]) -> None:
    """Take steps until cancelled, and begin again after an error."""
    while True:
        try:
            await begin()
            while True:
                await step()
                await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
        except problems:
            await asyncio.sleep(2)


async def work(server: Neo4j | Minio | Qdrant) -> None:
    """Keep a server busy until cancelled."""
    if isinstance(server, Neo4j):
        await friends(server)
    elif isinstance(server, Minio):
        await photos(server)
    else:
        await searches(server)
