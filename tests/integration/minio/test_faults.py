"""MinIO on bad days: drives that break, a server that hangs, goes away and returns, a server that is no MinIO."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.queries.query import Query
from exporter.settings import read_queries
from testkit.minio import Minio
from testkit.session import Servers
from tests.support.collect import Collected, collect, collect_from, target_of
from tests.support.minio_admin import break_drive, eventually, put, s3


def opened(server: Minio) -> Datastore:
    return open_datastore(target_of(server.target("objects")))


def query(name: str) -> Query:
    return next(query for query in read_queries(["minio"]) if query.name == name)


async def test_drives_break_one_by_one(servers: Servers) -> None:
    """Of four drives one may break; with two gone nothing is written, with three nothing read, and the server is up."""
    with servers.private_minio(4) as server:
        client = s3(server)
        client.make_bucket(bucket_name="drives")
        put(client, "drives", "object", 100)
        async with opened(server) as datastore:

            async def look() -> Collected:
                return await collect_from(datastore, "minio", ["drives", "erasure_sets", "write_quorum", "read_quorum"])

            def broken(drives: int) -> Callable[[Collected], bool]:
                expected = "pass" if drives == 1 else "fail"
                return lambda seen: (
                    seen.value("minio_drives", pool="0", set="0", state="faulty") == drives
                    and seen.statuses.get("writeQuorum") == expected
                    and (drives == 2 or seen.value("minio_erasure_tolerance_drives", pool="0", set="0") == 1 - drives)
                )

            seen = []
            for number in (1, 2, 3):
                break_drive(server, number)
                seen.append(await eventually(look, broken(number)))

    one, _, three = seen
    for number, now in enumerate(seen, start=1):
        assert now.failures == {}
        assert now.value("minio_drives", pool="0", set="0", state="faulty") == number
        assert now.value("minio_drives", pool="0", set="0", state="ok") == 4 - number
        assert now.statuses["drives"] == "warn"
    assert [now.value("minio_cluster_writable") for now in seen] == [1.0, 0.0, 0.0]
    assert [now.value("minio_cluster_readable") for now in seen] == [1.0, 1.0, 0.0]
    assert [now.statuses["writeQuorum"] for now in seen] == ["pass", "fail", "fail"]
    assert [now.statuses["readQuorum"] for now in seen] == ["pass", "pass", "fail"]
    assert one.value("minio_erasure_tolerance_drives", pool="0", set="0") == 0.0
    assert three.value("minio_erasure_tolerance_drives", pool="0", set="0") == -2.0
    assert (one.statuses["erasureTolerance"], three.statuses["erasureTolerance"]) == ("warn", "fail")


async def test_frozen_server(servers: Servers) -> None:
    """Ping and fetch end at their deadline and leave nothing behind; after the thaw the next ping succeeds."""
    with servers.private_minio(1) as server:
        async with opened(server) as datastore:
            await collect_from(datastore, "minio", ["traffic"])
            server.freeze()
            began = time.monotonic()
            for _ in range(6):  # more than there are connections
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await datastore.ping()
            async with datastore.session("fast") as session:
                for name in ("traffic", "requests"):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.2):
                            await session.fetch(query(name))
            assert time.monotonic() - began < 8 * 0.2 + 1
            server.thaw()
            assert (await datastore.ping()).version
            assert (await collect_from(datastore, "minio", ["traffic"])).series == {"traffic": 2}


async def test_leaving_a_frozen_server(servers: Servers) -> None:
    """Closing does not wait for a server that hangs."""
    with servers.private_minio(1) as server:
        async with opened(server) as datastore:
            await datastore.ping()
            server.freeze()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await datastore.ping()
            began = time.monotonic()
        took = time.monotonic() - began
        server.thaw()

    assert took < 1


async def test_restart_between_two_pings(servers: Servers) -> None:
    """A restart between two pings shows in the metrics page, and the next ping has the new start time."""
    with servers.private_minio(1) as server:
        async with opened(server) as datastore:
            first = (await datastore.ping()).started_at
            server.restart()
            await collect_from(datastore, "minio", ["traffic"])
            second = (await datastore.ping()).started_at

    assert first is not None
    assert second is not None
    assert second > first


class OtherS3(BaseHTTPRequestHandler):
    """An S3 server that takes /minio/... for a bucket it does not have."""

    def do_GET(self) -> None:
        self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""


@contextmanager
def other_s3() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherS3) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_another_s3_server() -> None:
    """A server that is no MinIO is up; every query says what it needs and none fails."""
    with other_s3() as url:
        target = {"name": "objects", "store": "minio", "url": url, "access_key": "monitor", "secret_key": "secret"}
        collected = await collect(target)

    assert collected.failures == {}
    assert collected.series == {}
    assert collected.unsupported.keys() == {query.name for query in read_queries(["minio"])}
    assert collected.info.capabilities["s3"] == ""
    assert collected.info.capabilities["health"] == "the server has no MinIO endpoints"
    assert collected.info.missing_privileges == {}
