"""MinIO as it is: every built-in query answers, its numbers are what was done, few privileges give what they can."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3
from minio import S3Error
from minio.versioningconfig import VersioningConfig

from exporter.datastores import open_datastore
from exporter.datastores.minio.answers import Refused
from exporter.datastores.minio.token import metrics_token
from exporter.query import HistogramValue
from exporter.query_files import load_queries
from tests.integration.collect import Collected, collect, collect_from, target_of
from tests.integration.minio_admin import admin, allow, eventually, put, s3, statement
from tests.servers.minio import Minio
from tests.servers.session import Servers

LEAST = ("admin:Prometheus", "admin:ServerInfo", "admin:DataUsageInfo")
SEE_BUCKETS = statement("s3:ListAllMyBuckets", "s3:GetBucketLocation")
each_size = pytest.mark.parametrize(
    "drives", [pytest.param(count, marks=pytest.mark.servers(f"minio:{count}")) for count in (1, 4)]
)


@pytest.fixture(scope="module")
def private(servers: Servers) -> Minio:
    """Return a server of this file's own, where nobody else counts."""
    return servers.private_minio(1)


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


@each_size
async def test_every_query_answers(servers: Servers, drives: int) -> None:
    """Every built-in query yields every metric it declares, on one drive and on four."""
    server = servers.minio(drives)
    client = s3(server)
    bucket = f"every-query-{drives}"
    client.make_bucket(bucket_name=bucket)
    put(client, bucket, "object", 10)
    admin(server).bucket_quota_set(bucket=bucket, size=10**9)
    declared = {metric.name for query in load_queries(["minio"]) for metric in query.metrics}

    collected = await see(server, lambda seen: declared <= shown(seen))

    assert collected.failures == {}
    assert collected.unsupported == {}
    assert declared - shown(collected) == set()
    assert set(collected.verdicts.values()) == {"pass"}
    assert {"ready", "writeQuorum", "readQuorum", "drives", "nodes", "erasureTolerance", "diskSpace"} == set(
        collected.verdicts
    )


@each_size
async def test_identity(servers: Servers, drives: int) -> None:
    """A ping tells version, role, edition and start; with the root user nothing is missing."""
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


@pytest.mark.parametrize("wrong", [{"secret_key": "wrong-secret"}, {"access_key": "nobody"}])
async def test_wrong_keys(private: Minio, wrong: dict[str, str]) -> None:
    """Wrong keys are `auth`, and are in no message."""
    async with open_datastore(target_of(private.target("objects", **wrong))) as datastore:
        with pytest.raises(Refused) as caught:
            await datastore.ping()

    assert datastore.reason(caught.value) == "auth"
    assert not {"wrong-secret", "nobody", private.secret_key} & set(re.split(r"[^\w-]", repr(caught.value)))


async def test_rejected_requests_are_counted(private: Minio) -> None:
    """What no API takes is counted by reason: here a signature of no known kind."""
    rejected, reason = "s3_rejected_requests_total", {"reason": "auth"}
    before = total(await collect(private.target("objects"), ["rejected_requests"]), rejected, **reason)
    for _ in range(3):
        await asyncio.to_thread(urllib3.request, "GET", f"{private.url}/", headers={"Authorization": "Nonsense"})

    seen = await see(private, lambda seen: total(seen, rejected, **reason) > before, "rejected_requests")

    assert total(seen, rejected, **reason) == before + 3


async def test_least_privilege(private: Minio) -> None:
    """The documented policy gives everything; without it each group goes on or says which statement it needs."""
    keys = {"access_key": "monitor", "secret_key": "monitor-secret"}
    bucket = "least-privilege"
    s3(private).make_bucket(bucket_name=bucket)
    allow(private, keys, [statement(*LEAST), SEE_BUCKETS])
    await see(private, lambda seen: seen.value("s3_bucket_object_lock", bucket=bucket) is not None, **keys)
    await see(private, lambda seen: seen.value("s3_bucket_objects", bucket=bucket) is not None, **keys)

    async with open_datastore(target_of(private.target("objects", **keys))) as datastore:
        everything = await collect_from(datastore, "minio")
        allow(private, keys, [statement("admin:Prometheus"), SEE_BUCKETS])
        refused = await collect_from(datastore, "minio")  # the facts are older than the policy
        learnt = (await datastore.ping()).missing_privileges
        allow(private, keys, [statement("admin:Prometheus"), SEE_BUCKETS, *learnt.values()])
        granted = await collect_from(datastore, "minio")
        clean = await datastore.ping()

    assert everything.failures == {}
    assert everything.info.missing_privileges == {}
    assert refused.failures.keys() == {"usage"}
    assert refused.failures["usage"].startswith("privilege:")
    assert "buckets" in refused.series
    assert "s3_bucket_versions" not in shown(refused)
    assert total(refused, "minio_drives", state="ok") == 1.0
    assert refused.value("minio_nodes", state="online") == 1.0
    assert learnt == {
        "admin:DataUsageInfo": '{"Effect": "Allow", "Action": ["admin:DataUsageInfo"]}',
        "admin:ServerInfo": '{"Effect": "Allow", "Action": ["admin:ServerInfo"]}',
    }
    assert granted.failures == {}
    assert clean.missing_privileges == {}


async def test_account_stands_in_for_usage(private: Minio) -> None:
    """Without admin:DataUsageInfo sizes and objects come from the account's own view of its buckets."""
    keys = {"access_key": "account", "secret_key": "account-secret"}
    client = s3(private)
    client.make_bucket(bucket_name="account")
    put(client, "account", "object", 321)
    allow(private, keys, [statement("admin:Prometheus"), SEE_BUCKETS])

    seen = await see(private, lambda seen: seen.value("s3_bucket_objects", bucket="account") == 1.0, "buckets", **keys)

    assert seen.value("s3_bucket_objects", bucket="account") == 1.0
    assert seen.value("s3_bucket_usage_bytes", bucket="account") == 321.0
    assert "s3_bucket_versions" not in shown(seen)


async def test_no_privilege_at_all(private: Minio) -> None:
    """Keys that may nothing still tell that the server is up, and what they lack; health needs no keys."""
    keys = {"access_key": "nothing", "secret_key": "nothing-secret"}
    allow(private, keys, [statement("s3:GetBucketTagging")])

    collected = await collect(private.target("objects", **keys))

    assert collected.info.missing_privileges.keys() >= {"admin:Prometheus", "admin:ServerInfo", "admin:DataUsageInfo"}
    assert collected.failures.keys() >= {"requests", "usage"}
    assert {text.partition(":")[0] for text in collected.failures.values()} == {"privilege"}
    assert collected.value("minio_cluster_writable") == 1.0


async def test_hidden_buckets_are_a_missing_privilege(private: Minio) -> None:
    """When the scanner counts buckets and the keys see none, the statement that shows them is named."""
    keys = {"access_key": "hidden", "secret_key": "hidden-secret"}
    s3(private).make_bucket(bucket_name="hidden-from-monitor")
    await see(private, lambda seen: seen.value("s3_bucket_objects", bucket="hidden-from-monitor") == 0.0)
    allow(private, keys, [statement(*LEAST)])

    collected = await collect(private.target("objects", **keys))

    assert collected.failures == {}
    assert collected.info.missing_privileges == {
        "s3:GetBucketLocation": '{"Effect": "Allow", "Action": ["s3:GetBucketLocation"], '
        '"Resource": ["arn:aws:s3:::*"]}'
    }


async def test_rotated_secret(private: Minio, tmp_path: Path) -> None:
    """A new secret in the file is used at the next ping, for signed calls and for the metrics token."""
    file = tmp_path / "secret"
    file.write_text("first-secret\n")
    allow(private, {"access_key": "rotated", "secret_key": "first-secret"}, [statement(*LEAST), SEE_BUCKETS])
    target = private.target("objects", access_key="rotated", secret_key_file=str(file))
    del target["secret_key"]

    async with open_datastore(target_of(target)) as datastore:
        before = await collect_from(datastore, "minio", ["traffic"])
        allow(private, {"access_key": "rotated", "secret_key": "second-secret"}, [statement(*LEAST), SEE_BUCKETS])
        file.write_text("second-secret\n")
        after = await collect_from(datastore, "minio", ["traffic"])
        file.unlink()
        with pytest.raises(Exception, match="secret_key_file") as caught:
            await datastore.ping()
        assert datastore.reason(caught.value) == "auth"

    assert before.series == {"traffic": 2}
    assert after.series == {"traffic": 2}


async def test_public_metrics_need_no_keys(servers: Servers) -> None:
    """A server that shows its metrics to all is watched without keys; what needs keys says so."""
    with servers.private_minio(1, {"MINIO_PROMETHEUS_AUTH_TYPE": "public"}) as server:
        collected = await collect({"name": "objects", "store": "minio", "url": server.url})

    needs_keys = "needs access_key and secret_key"
    assert collected.failures == {}
    assert collected.unsupported.keys() == {"usage", "buckets", "bucket_flags", "bucket_versioning", "drives", "nodes"}
    assert all(needs_keys in text for text in collected.unsupported.values())
    assert collected.info.capabilities == {"health": "", "metrics": "", "admin": needs_keys, "s3": needs_keys}
    assert collected.info.missing_privileges == {}
    assert collected.value("minio_cluster_writable") == 1.0
    assert total(collected, "s3_traffic_received_bytes_total") == 0.0


async def test_no_keys_where_metrics_are_not_public(private: Minio) -> None:
    """The health endpoints need no keys; the rest is unsupported with the reason."""
    collected = await collect({"name": "objects", "store": "minio", "url": private.url})

    assert collected.failures == {}
    assert collected.info.capabilities["metrics"] == "needs access_key and secret_key"
    assert collected.series == {"live": 1, "ready": 1, "read_quorum": 2, "write_quorum": 2}


async def test_names_are_ours(private: Minio) -> None:
    """No metric has the name of one of the server's own: who scrapes both can tell them apart."""
    native: set[str] = set()
    token = metrics_token(private.access_key, private.secret_key, 4_000_000_000)
    headers = {"Authorization": f"Bearer {token}"}
    for page in ("v2/metrics/cluster", "v2/metrics/node", "v2/metrics/bucket", "v2/metrics/resource", "metrics/v3"):
        answer = await asyncio.to_thread(urllib3.request, "GET", f"{private.url}/minio/{page}", headers=headers)
        assert answer.status == 200
        native.update(line.split()[2] for line in answer.data.decode().splitlines() if line.startswith("# TYPE"))

    assert len(native) > 100
    assert {metric.name for query in load_queries(["minio"]) for metric in query.metrics} & native == set()
