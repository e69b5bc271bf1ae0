"""MinIO as it is: every built-in query answers, and its numbers are what was done."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
import urllib3
from minio import S3Error
from minio.versioningconfig import VersioningConfig

from exporter.config.stores.minio import MinioTarget
from exporter.datastores.minio.bucket_rows import LargestParams
from exporter.datastores.minio.datastore import open_datastore
from exporter.datastores.minio.signing import metrics_token
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Row
from exporter.settings import read_queries
from testkit.minio import Minio
from testkit.session import Servers
from tests.support.collect import Collected, collect, target_of
from tests.support.minio_admin import admin, put, s3, see, shown, total

each_size = pytest.mark.parametrize(
    "drives", [pytest.param(count, marks=pytest.mark.servers(f"minio:{count}")) for count in (1, 4)]
)


@pytest.fixture(scope="module")
def private(servers: Servers) -> Minio:
    """Return a server of this file's own, which no other test uses."""
    return servers.private_minio(1)


@each_size
async def test_every_query_answers(servers: Servers, drives: int) -> None:
    """Every built-in query yields every metric it declares, on one drive and on four."""
    server = servers.minio(drives)
    client = s3(server)
    bucket = f"every-query-{drives}"
    client.make_bucket(bucket_name=bucket)
    put(client, bucket, "object", 10)
    admin(server).bucket_quota_set(bucket=bucket, size=10**9)
    declared = {metric.name for query in read_queries(["minio"]) for metric in query.metrics}

    collected = await see(server, lambda seen: declared <= shown(seen))

    assert collected.failures == {}
    assert collected.unsupported == {}
    assert declared - shown(collected) == set()
    assert set(collected.statuses.values()) == {"pass"}
    assert {"ready", "writeQuorum", "readQuorum", "drives", "nodes", "erasureTolerance", "diskSpace"} == set(
        collected.statuses
    )


@each_size
async def test_identity(servers: Servers, drives: int) -> None:
    """A ping has version, role, edition and start; with the root user no privilege is missing."""
    server = servers.minio(drives)

    info = (await collect(server.target("objects"), only=[])).info

    assert info.version == "DEVELOPMENT.GOGET"
    assert info.edition == "community"
    assert info.role == {1: "single-drive", 4: "single-node"}[drives]
    assert info.started_at is not None
    assert info.capabilities == {"health": "", "metrics": "", "admin": "", "s3": ""}
    assert info.missing_privileges == {}


async def test_cluster_of_four_drives(servers: Servers) -> None:
    """Quorums, tolerance and capacity of an erasure set of four with two for parity."""
    collected = await collect(servers.minio(4).target("objects"))

    assert collected.value("minio_write_quorum_drives") == 3.0
    assert collected.value("minio_read_quorum_drives") == 2.0
    assert collected.value("minio_erasure_tolerance_drives", pool="0", set="0") == 1.0
    assert collected.value("minio_erasure_designed_tolerance_drives", pool="0", set="0") == 1.0
    assert collected.value("minio_drives", pool="0", set="0", state="ok") == 4.0
    assert collected.value("minio_drives", pool="0", set="0", state="offline") == 0.0
    assert collected.value("minio_nodes", state="online") == 1.0
    raw = collected.value("minio_capacity_bytes", kind="raw", state="total")
    assert raw == 2 * (collected.value("minio_capacity_bytes", kind="usable", state="total") or 0)


async def test_objects_are_counted(private: Minio) -> None:
    """The scanner's counts become what was put, the totals with them, and the time of the scan moves on."""
    client = s3(private)
    client.make_bucket(bucket_name="counted")
    for number in range(7):
        put(client, "counted", f"object-{number}", 1000 + number)
    size = sum(1000 + number for number in range(7))

    first = await see(private, lambda seen: seen.value("s3_bucket_objects", bucket="counted") == 7.0)
    later = await see(
        private,
        lambda seen: total(seen, "minio_usage_timestamp_seconds") > total(first, "minio_usage_timestamp_seconds"),
        "usage",
    )

    assert first.value("s3_bucket_objects", bucket="counted") == 7.0
    assert first.value("s3_bucket_usage_bytes", bucket="counted") == size
    assert first.value("minio_objects") == total(first, "s3_bucket_objects")
    assert first.value("minio_usage_bytes") == total(first, "s3_bucket_usage_bytes")
    assert total(later, "minio_usage_timestamp_seconds") > total(first, "minio_usage_timestamp_seconds")


async def test_versions_and_delete_markers(private: Minio) -> None:
    """A versioned bucket's versions (delete markers among them) are counted; each state of versioning is shown."""
    client = s3(private)
    for bucket, status in (("versions", "Enabled"), ("suspended", "Suspended"), ("plain", None)):
        client.make_bucket(bucket_name=bucket)
        if status:
            client.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(status="Enabled"))
            client.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(status=status))
    client.make_bucket(bucket_name="locked", object_lock=True)
    for _ in range(3):
        put(client, "versions", "same-name", 10)
    client.remove_object(bucket_name="versions", object_name="same-name")

    def complete(seen: Collected) -> bool:
        markers = seen.value("s3_bucket_delete_markers", bucket="versions")
        return markers == 1.0 and seen.value("s3_bucket_object_lock", bucket="locked") is not None

    seen = await see(private, complete)

    assert seen.value("s3_bucket_delete_markers", bucket="versions") == 1.0
    assert seen.value("s3_bucket_versions", bucket="versions") == 4.0
    assert seen.value("s3_bucket_objects", bucket="versions") == 1.0  # a key whose latest version is a delete marker
    for bucket, state in {"versions": "enabled", "suspended": "suspended", "plain": "off", "locked": "enabled"}.items():
        for other in ("enabled", "suspended", "off"):
            assert seen.value("s3_bucket_versioning", bucket=bucket, state=other) == float(state == other)
    assert seen.value("s3_bucket_object_lock", bucket="locked") == 1.0
    assert seen.value("s3_bucket_object_lock", bucket="plain") == 0.0
    assert seen.value("s3_bucket_replication_configured", bucket="plain") == 0.0


async def test_requests_are_counted(servers: Servers) -> None:
    """Counters grow by what was done: requests, failed ones, bytes both ways, times to first byte."""
    with servers.private_minio(1) as server:
        client = s3(server)
        client.make_bucket(bucket_name="requests")
        for number in range(4):
            put(client, "requests", f"object-{number}", 5000)
        for number in (0, 1, 2, 99, 99):
            try:
                answer = client.get_object(bucket_name="requests", object_name=f"object-{number}")
                answer.read()
                answer.release_conn()
            except S3Error as error:
                assert error.code == "NoSuchKey"  # noqa: PT017 - two of five

        seen = await see(server, lambda seen: total(seen, "s3_requests_total", api="getobject") >= 5)

    assert total(seen, "s3_requests_total", api="putobject") == 4
    assert total(seen, "s3_requests_total", api="getobject") == 5
    assert total(seen, "s3_request_errors_total", api="getobject", **{"class": "4xx"}) == 2
    assert total(seen, "s3_request_errors_total", api="putobject", **{"class": "4xx"}) == 0
    assert total(seen, "s3_request_errors_total", **{"class": "5xx"}) == 0
    assert total(seen, "s3_canceled_total") == 0
    assert total(seen, "s3_traffic_received_bytes_total") == 20_000
    assert 15_000 <= total(seen, "s3_traffic_sent_bytes_total") < 30_000
    [ttfb] = [v for key, v in seen.samples["s3_ttfb_seconds"].items() if dict(key)["api"] == "putobject"]
    assert isinstance(ttfb, HistogramValue)
    assert ttfb.buckets[-1] == (float("inf"), 4.0)
    assert ttfb.sum is None


async def test_rejected_requests_are_counted(private: Minio) -> None:
    """What no API takes is counted by reason: here a signature of no known kind."""
    rejected, reason = "s3_rejected_requests_total", {"reason": "auth"}
    before = total(await collect(private.target("objects"), ["rejected_requests"]), rejected, **reason)
    for _ in range(3):
        await asyncio.to_thread(urllib3.request, "GET", f"{private.url}/", headers={"Authorization": "Nonsense"})

    seen = await see(private, lambda seen: total(seen, rejected, **reason) > before, "rejected_requests")

    assert total(seen, rejected, **reason) == before + 3


async def test_names_are_ours(private: Minio) -> None:
    """No metric has the name of one of the server's own, so that both can be scraped."""
    native: set[str] = set()
    token = metrics_token(private.access_key, private.secret_key, 4_000_000_000)
    headers = {"Authorization": f"Bearer {token}"}
    for page in ("v2/metrics/cluster", "v2/metrics/node", "v2/metrics/bucket", "v2/metrics/resource", "metrics/v3"):
        answer = await asyncio.to_thread(urllib3.request, "GET", f"{private.url}/minio/{page}", headers=headers)
        assert answer.status == 200
        native.update(line.split()[2] for line in answer.data.decode().splitlines() if line.startswith("# TYPE"))

    assert len(native) > 100
    assert {metric.name for query in read_queries(["minio"]) for metric in query.metrics} & native == set()


class Counting(httpx.AsyncBaseTransport):
    """Carry requests, and keep what the answers were."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.seen: list[tuple[str, int, int]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        self.seen.append((request.url.path, answer.status_code, int(answer.headers.get("content-length", "0"))))
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_the_ping_costs_the_same_with_many_buckets(private: Minio) -> None:
    """It asks one small question, about a bucket that is there: neither a list of all nor an error in the counters."""
    client, counting = s3(private), Counting()
    client.make_bucket(bucket_name="a-first-one")
    target = target_of(private.target("objects"))
    assert isinstance(target, MinioTarget)
    pings: list[list[tuple[str, int, int]]] = []
    async with open_datastore(target, counting) as datastore:
        await datastore.ping()
        for few in (0, 100):
            for number in range(few):
                client.make_bucket(bucket_name=f"one-of-many-{number}")
            counting.seen.clear()
            await datastore.ping()
            pings.append(list(counting.seen))

    assert pings[0] == pings[1]
    [(path, status, length)] = pings[0]
    assert path.removeprefix("/") in {bucket.name for bucket in client.list_buckets()}
    assert (status, length < 200) == (200, True)


async def test_the_largest_buckets_of_a_server(servers: Servers) -> None:
    """What has no series of its own is added up, whichever page it comes from."""
    with servers.private_minio(1) as server:
        client = s3(server)
        for number in range(5):
            client.make_bucket(bucket_name=f"bucket-{number}")
            put(client, f"bucket-{number}", "object", 1000 * (number + 1))
        client.set_bucket_versioning(bucket_name="bucket-0", config=VersioningConfig(status="Enabled"))
        await see(server, lambda seen: seen.value("s3_bucket_objects", bucket="bucket-4") == 1.0, "buckets")
        target = target_of(server.target("objects"))
        assert isinstance(target, MinioTarget)
        async with open_datastore(target) as datastore:
            await datastore.ping()
            rows: dict[str, Sequence[Row]] = {}
            async with datastore.session("slow") as session:
                for query in read_queries(["minio"]):
                    if query.name in ("buckets", "bucket_flags", "bucket_versioning"):
                        few = query.model_copy(update={"params": LargestParams(top=2)})
                        rows[query.name] = await session.fetch(few)

    *kept, others = rows["buckets"]
    assert [row["bucket"] for row in kept] == ["bucket-3", "bucket-4"]
    assert (others["others"], others["other_bytes"]) == (3.0, 1000 + 2000 + 3000)
    *kept, others = rows["bucket_flags"]  # whose page may not know the sizes yet
    assert (len(kept), others["others"]) == (2, 3.0)
    states = [row["state"] for row in rows["bucket_versioning"] if row["is"]]
    others_in = {row["state"]: row["others"] for row in rows["bucket_versioning"][-3:]}
    for state, count in (("enabled", 1.0), ("suspended", 0.0), ("off", 4.0)):
        assert others_in[state] == count - states.count(state)
