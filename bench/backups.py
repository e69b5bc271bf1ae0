"""What a place of backups costs: an archive of WAL of 100,000 files in a folder and in MinIO, and a million files.

A full pass lists every file, in as many looks as it takes; an incremental one is the look after it, when one segment
was added. CPU is that of the exporter's side, of a process that does nothing else; requests are those to the server. A
million files are a limit: how long that takes to say, and by how much the process has grown by then.
"""

import asyncio
import io
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import httpx
from minio import Minio as Client
from minio.credentials import StaticProvider  # type: ignore[attr-defined]  # missing in the package's __all__

from bench.results import Figure, Outcome, run
from exporter.config.backup_policy import BackupSet
from exporter.config.stores.minio import MinioTarget
from exporter.datastores.backups.formats.wal import read as read_wal
from exporter.datastores.backups.listing import listed
from exporter.datastores.backups.look import Look, Memory, UnfinishedError
from exporter.datastores.backups.places.file_place import FilePlace
from exporter.datastores.backups.places.place import Place
from exporter.datastores.backups.places.s3_place import S3Place
from exporter.datastores.http_client import http_transport
from exporter.errors import QueryError
from testkit.minio import Minio

FILES, MANY = 100_000, 1_000_000
GOAL = 5.0  # percent of a full pass
_FOLDER = "archive/"
_IN_MEMORY = Path("/dev/shm")
_SEGMENTS_A_LOG = 256
_LOOK_SECONDS = 15.0
_AT_ONCE = 10_000  # objects of one upload


class Cost(NamedTuple):
    """Of one pass."""

    cpu: float
    seconds: float
    requests: int
    looks: int


class Counting(httpx.AsyncBaseTransport):
    """Count the requests."""

    def __init__(self) -> None:
        self._inner = http_transport(None, 4)
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def measure() -> Outcome:
    with _folder() as root, Minio() as server:
        _fill_folder(root / _FOLDER, range(FILES))
        target = _fill_bucket(server)
        of_folder = _alone(_passes_of_folder, root)
        of_bucket = _alone(_passes_of_bucket, target)
    with _folder() as root:
        _fill_folder(root / _FOLDER, range(MANY))
        limits = {"a folder": _alone(_limit_of_folder, root), "a bucket": _alone(_limit_of_bucket)}
    figures = [*_figures("a folder", *of_folder), *_figures("a bucket", *of_bucket)]
    for what, (seconds, grown) in limits.items():
        figures += [
            Figure(f"until a million files in {what} are a limit", "s", seconds),
            Figure(f"memory that it takes, {what}", "MiB", grown, at_most=64.0),
        ]
    return Outcome("backups", figures, {"method": __doc__})


def _figures(what: str, full: Cost, incremental: Cost) -> Iterator[Figure]:
    for name, cost in (("full", full), ("incremental", incremental)):
        yield Figure(f"{name} pass of {FILES:,} files in {what}, CPU", "ms", 1000 * cost.cpu)
        yield Figure(f"{name} pass in {what}, time", "ms", 1000 * cost.seconds)
        if cost.requests:
            yield Figure(f"{name} pass in {what}", "requests", cost.requests)
    share = incremental.requests / full.requests if full.requests else incremental.cpu / full.cpu
    unit = "% of the requests" if full.requests else "% of the CPU"
    yield Figure(f"incremental pass in {what}", unit, 100 * share, at_most=GOAL)


def _alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run work in a process of its own, which has the memory and the CPU to itself."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _passes_of_folder(root: Path) -> tuple[Cost, Cost]:
    return asyncio.run(_passes(FilePlace(root), Counting(), lambda: _fill_folder(root / _FOLDER, [FILES])))


def _passes_of_bucket(target: MinioTarget) -> tuple[Cost, Cost]:
    transport = Counting()
    place = S3Place(target, "backups", transport=transport)
    return asyncio.run(_passes(place, transport, lambda: _put(_client(target), [FILES])))


async def _passes(place: Place, transport: Counting, add: Callable[[], None]) -> tuple[Cost, Cost]:
    memory = Memory()
    await place.list("none/", deep=True)  # what is done once: imports, the connection
    full = await _pass(place, memory, transport)
    await asyncio.to_thread(add)
    return full, await _pass(place, memory, transport)


async def _pass(place: Place, memory: Memory, transport: Counting) -> Cost:
    before, cpu, began, looks = transport.requests, time.process_time(), time.perf_counter(), 0
    while True:
        looks += 1
        try:
            await read_wal(_look(place, memory, "wal"))
            break
        except UnfinishedError:
            continue
    return Cost(time.process_time() - cpu, time.perf_counter() - began, transport.requests - before, looks)


def _look(place: Place, memory: Memory, kind: str) -> Look:
    written = {"name": "wal", "of": "orders", "files": _FOLDER, "format": kind, "every": "5m"}
    return Look(place, BackupSet.model_validate(written), memory, time.time(), time.monotonic() + _LOOK_SECONDS)


def _limit_of_folder(root: Path) -> tuple[float, float]:
    return asyncio.run(_until_limit(FilePlace(root)))


def _limit_of_bucket() -> tuple[float, float]:
    """Ask a made-up server, which computes its pages."""
    target = MinioTarget.model_validate({"store": "minio", "name": "objects", "url": "http://127.0.0.1:9"})
    return asyncio.run(_until_limit(S3Place(target, "backups", transport=httpx.MockTransport(_endless))))


async def _until_limit(place: Place) -> tuple[float, float]:
    """Return the seconds until the limit is told, and the MiB that it took; nothing of the files belongs to the set."""
    await place.list("none/", deep=True, most=1)
    before, began = _most_memory(), time.perf_counter()
    memory = Memory()
    look = _look(place, memory, "auto")
    chosen = look.chosen.model_copy(update={"files": f"{_FOLDER}*.dump"})
    while True:
        try:
            await listed(Look(place, chosen, memory, look.now, time.monotonic() + _LOOK_SECONDS))
        except UnfinishedError:
            continue
        except QueryError as error:
            if error.reason != "limit":
                raise
            break
    return time.perf_counter() - began, _most_memory() - before


def _most_memory() -> float:
    """Return the most MiB that the process has had; getrusage would tell of the process that started it, too."""
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(found.split()[1]) / 1024


def _endless(request: httpx.Request) -> httpx.Response:
    params = request.url.params
    if params["prefix"] != _FOLDER:
        return httpx.Response(200, text="<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    start = int(params.get("continuation-token", "0"))
    keys = int(params["max-keys"])
    objects = "".join(
        f"<Contents><Key>{_FOLDER}{_segment(number)}</Key><LastModified>2026-11-30T02:14:00.000Z</LastModified>"
        "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>16777216</Size></Contents>"
        for number in range(start, min(MANY, start + keys))
    )
    token = f"<NextContinuationToken>{start + keys}</NextContinuationToken>"
    page = f"<ListBucketResult><IsTruncated>true</IsTruncated>{token}{objects}</ListBucketResult>"
    return httpx.Response(200, headers={"x-amz-request-id": "1"}, text=page)


def _segment(number: int) -> str:
    return f"{1:08X}{number // _SEGMENTS_A_LOG:08X}{number % _SEGMENTS_A_LOG:08X}"


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder in memory, where the machine has some."""
    root = Path(mkdtemp(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        yield root


def _fill_folder(folder: Path, numbers: Sequence[int]) -> None:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / _segment(number)).touch()


def _fill_bucket(server: Minio) -> MinioTarget:
    """Upload the files as MinIO takes them by thousands: archives that it unpacks."""
    target = MinioTarget.model_validate(server.target("objects"))
    client = _client(target)
    client.make_bucket(bucket_name="backups")
    for start in range(0, FILES, _AT_ONCE):
        _put(client, range(start, start + _AT_ONCE))
    return target


def _client(target: MinioTarget) -> Client:
    host = target.url.get_secret_value().removeprefix("http://")
    keys = StaticProvider(target.secret("access_key") or "", target.secret("secret_key") or "")
    return Client(endpoint=host, credentials=keys, secure=False, region=target.region)


def _put(client: Client, numbers: Sequence[int]) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as packed:
        for number in numbers:
            packed.addfile(tarfile.TarInfo(_FOLDER + _segment(number)))
    content = archive.getvalue()
    client.put_object(
        bucket_name="backups",
        object_name="archive.tar",
        data=io.BytesIO(content),
        length=len(content),
        metadata={"X-Amz-Meta-Snowball-Auto-Extract": "true"},
    )


if __name__ == "__main__":
    run(measure)
