"""What tests do to a MinIO server: objects, users with a policy, drives that break; and waiting for its caches."""

import asyncio
import io
import json
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import urllib3
from minio import Minio as Client
from minio import MinioAdmin
from minio.credentials import StaticProvider  # type: ignore[attr-defined]  # missing in the package's __all__

from testkit.minio import Minio
from tests.support.collect import Collected, collect

_T = TypeVar("_T")

# The server keeps its counters for 10 s, lists of buckets for less, and scans every second or two.
CACHE_SECONDS = 45.0


def s3(server: Minio) -> Client:
    host = server.url.removeprefix("http://")
    signer = StaticProvider(server.access_key, server.secret_key)
    return Client(endpoint=host, credentials=signer, secure=False, region="us-east-1", http_client=_pool())


def admin(server: Minio) -> MinioAdmin:
    host = server.url.removeprefix("http://")
    signer = StaticProvider(server.access_key, server.secret_key)
    return MinioAdmin(endpoint=host, credentials=signer, secure=False, http_client=_pool())


def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=10), retries=urllib3.Retry(0))


def put(client: Client, bucket: str, name: str, size: int) -> None:
    client.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(bytes(size)), length=size)


def allow(server: Minio, keys: Mapping[str, str], statements: Sequence[str]) -> None:
    """Give a user, made when it is not there, a policy of these statements and nothing else."""
    client, user = admin(server), keys["access_key"]
    policy = {"Version": "2012-10-17", "Statement": [json.loads(statement) for statement in statements]}
    client.user_add(access_key=user, secret_key=keys["secret_key"])
    client.policy_add(policy_name=f"of-{user}", policy=policy)
    client.policy_set(policy_name=f"of-{user}", user=user)


def statement(*actions: str) -> str:
    return json.dumps({"Effect": "Allow", "Action": list(actions)} | _resource(actions))


def _resource(actions: Sequence[str]) -> dict[str, object]:
    return {"Resource": ["arn:aws:s3:::*"]} if actions[0].startswith("s3:") else {}


def break_drive(server: Minio, number: int) -> None:
    """Put a file in the place of a drive's folder: an empty folder the server would format and heal by itself."""
    drive = Path(server.folder) / f"drive{number}"
    while not drive.is_file():
        shutil.rmtree(drive, ignore_errors=True)
        with suppress(OSError):  # the server still writes there
            drive.touch()


async def eventually(look: Callable[[], Awaitable[_T]], good: Callable[[_T], object]) -> _T:
    """Look until what is seen is good, as long as the server's caches may last."""
    deadline = time.monotonic() + CACHE_SECONDS
    while True:
        seen = await look()
        if good(seen) or time.monotonic() > deadline:
            return seen
        await asyncio.sleep(0.3)


async def see(server: Minio, good: Callable[[Collected], object], *only: str, **settings: object) -> Collected:
    """Collect until it is good, within what the server's caches last."""

    async def look() -> Collected:
        return await collect(server.target("objects", **settings), only or None)

    return await eventually(look, good)


def total(collected: Collected, metric: str, **labels: str) -> float:
    """Add up a metric's samples that have these labels."""
    found = collected.samples.get(metric, {}).items()
    return sum(value for key, value in found if labels.items() <= dict(key).items() and isinstance(value, float))


def shown(collected: Collected) -> set[str]:
    """Return the metrics that have a sample."""
    return {metric for metric, samples in collected.samples.items() if samples}
