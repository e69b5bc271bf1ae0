"""MinIO seen through keys: wrong ones, few privileges, none at all, rotated ones."""

import re
from pathlib import Path

import pytest

from exporter.datastores import open_datastore
from exporter.datastores.s3.response import ErrorResponse
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from testkit.minio import Minio
from testkit.session import Servers
from tests.support.collect import collect, collect_from, target_of
from tests.support.minio_admin import allow, eventually, put, s3, see, shown, statement, total

LEAST = ("admin:Prometheus", "admin:ServerInfo", "admin:DataUsageInfo")
SEE_BUCKETS = statement("s3:GetBucketLocation")


@pytest.fixture(scope="module")
def private(servers: Servers) -> Minio:
    """Return a server of this file's own, which no other test uses, with its console."""
    return servers.private_minio(1, {"MINIO_BROWSER": "on"})


@pytest.mark.parametrize("wrong", [{"secret_key": "wrong-secret"}, {"access_key": "nobody"}])
async def test_wrong_keys(private: Minio, wrong: dict[str, str]) -> None:
    """Wrong keys are `auth`, and are in no message."""
    async with open_datastore(target_of(private.target("objects", **wrong))) as datastore:
        with pytest.raises(ErrorResponse) as caught:
            await datastore.ping()

    assert datastore.reason(caught.value) == "auth"
    assert not {"wrong-secret", "nobody", private.secret_key} & set(re.split(r"[^\w-]", repr(caught.value)))


@pytest.mark.parametrize("keys", ["with", "without"])
async def test_the_consoles_port(private: Minio, keys: str) -> None:
    """It answers HTML with 200 to every path, and is no server that is live and writable."""
    target = private.target("objects", url=f"http://127.0.0.1:{private.console_port}")
    if keys == "without":
        del target["access_key"], target["secret_key"]
    async with open_datastore(target_of(target)) as datastore:

        async def reason() -> str:
            with pytest.raises(QueryError) as caught:
                await within_deadline(datastore.ping, 5.0, datastore.reason)
            return caught.value.reason

        assert (
            await eventually(reason, lambda reason: reason != "connect") == "unsupported"
        )  # it listens a little later


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
    """With keys that may read nothing the server is up, and the missing privileges are named; health needs no keys."""
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
        with pytest.raises(Exception, match="cannot be read") as caught:
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
