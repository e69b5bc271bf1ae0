"""Qdrant's queries against a server: known changes show as numbers.

The server is the double, which puts HTTP over Qdrant's own engine, or the one of QDRANT_TEST_URL; keys are the
double's alone.
"""

import asyncio
import time

import pytest

from exporter.datastores.qdrant.connection import Connection
from exporter.errors import QueryError
from exporter.queries.histogram import HistogramValue
from exporter.settings import read_queries
from testkit.proxy import Proxy
from testkit.qdrant import Qdrant
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.qdrant_admin import Admin, status_of
from tests.support.sockets import connections

pytestmark = pytest.mark.servers("qdrant")

CLUSTER_ONLY = {"cluster", "cluster_messages", "cluster_peers", "cluster_role", "collection_replicas"}


async def test_every_query_yields_series_or_a_reason(qdrant: Qdrant, collection: str, qdrant_admin: Admin) -> None:
    """No query fails; what a single server has not is a capability with its reason."""
    qdrant_admin.upsert(collection, range(5))
    found = await collect(qdrant.target("q"))
    declared = {
        metric.name
        for query in read_queries(["qdrant"])
        if query.name not in found.unsupported and not query.when.configured
        for metric in query.metrics
    }

    reasons = {query: reason for query, reason in found.unsupported.items() if "needs version" not in reason}

    assert found.failures == {}
    assert reasons == dict.fromkeys(CLUSTER_ONLY, "unsupported: cluster mode is disabled")
    missing = declared - {metric for metric, series in found.samples.items() if series}
    assert missing <= {  # there is no snapshot, and a server measures its CPU only after a while
        "qdrant_system_cpu_cores_used",
        "datatier_backup_last_success_timestamp_seconds",
        "datatier_backup_last_size_bytes",
        "datatier_backup_oldest_timestamp_seconds",
    }
    assert found.statuses == dict.fromkeys(
        ("collections", "processLimits", "ready", "recoveryMode", "replicationLag"), "pass"
    )


async def test_connection_that_opens_while_its_client_closes_does_not_stay(qdrant: Qdrant) -> None:
    """One lane closes the client after a failed ping while the other has just begun a request."""
    with Proxy(qdrant.port) as proxy:
        api = Connection(f"http://127.0.0.1:{proxy.port}", None, None)
        asking = asyncio.create_task(api.read("/collections"))
        await asyncio.sleep(0)
        await api.close()
        await asking
        await asyncio.sleep(0.1)  # a transport closes at the loop's next turn

        assert connections(proxy.port) == 0


async def test_points_are_counted(qdrant: Qdrant, collection: str, qdrant_admin: Admin) -> None:
    """Upserted points appear, deleted ones go."""
    qdrant_admin.upsert(collection, range(120))
    many = await collect(qdrant.target("q"), ["collection", "collection_vectors", "collections", "collection_status"])
    qdrant_admin.delete(collection, range(100))
    few = await collect(qdrant.target("q"), ["collection", "collection_vectors"])

    assert many.value("qdrant_collection_points", collection=collection) == 120
    assert many.value("qdrant_collection_vectors", collection=collection, vector="") == 120
    assert many.value("qdrant_collection_shards", collection=collection) == 1
    assert few.value("qdrant_collection_points", collection=collection) == 20
    assert status_of(many, collection) in ("green", "yellow")


async def test_collections_come_and_go(qdrant: Qdrant, qdrant_admin: Admin) -> None:
    """A new collection is counted, a dropped one leaves no series behind."""
    before = await collect(qdrant.target("q"), ["collections"])
    qdrant_admin.create(
        "passing_by", {"title": {"size": 4, "distance": "Dot"}, "body": {"size": 2, "distance": "Cosine"}}
    )
    try:
        qdrant_admin.upsert("passing_by", range(3), title=[1, 0, 0, 0])
        qdrant_admin.upsert("passing_by", range(3, 5), title=[1, 0, 0, 0], body=[0, 1])
        there = await collect(qdrant.target("q"))
    finally:
        qdrant_admin.drop("passing_by")
    gone = await collect(qdrant.target("q"))
    count = before.value("qdrant_collections")

    assert count is not None
    assert there.value("qdrant_collections") == count + 1
    assert there.value("qdrant_collection_vectors", collection="passing_by", vector="title") == 5
    assert there.value("qdrant_collection_vectors", collection="passing_by", vector="body") == 2
    assert gone.value("qdrant_collections") == count
    assert not [key for series in gone.samples.values() for key in series if "passing_by" in str(key)]


async def test_requests_are_counted_and_timed(qdrant: Qdrant, collection: str, qdrant_admin: Admin) -> None:
    """Eleven searches are eleven more requests, and eleven more in the histogram."""

    def durations(found: Collected) -> float:
        value = found.samples["qdrant_request_duration_seconds"][("operation", "search"), ("protocol", "rest")]
        assert isinstance(value, HistogramValue)
        return value.buckets[-1][1]

    async def look() -> tuple[float, float]:
        found = await collect(qdrant.target("q"), ["requests", "request_duration"])
        count = found.value("qdrant_requests_total", protocol="rest", operation="search", status="200")
        return count or 0.0, durations(found)

    qdrant_admin.upsert(collection, range(10))
    requests, timed = await look()
    for _ in range(11):
        qdrant_admin.search(collection)

    assert await look() == (requests + 11, timed + 11)


async def test_snapshots_are_backups(qdrant: Qdrant, collection: str, qdrant_admin: Admin) -> None:
    """A snapshot counts, with its size, and was made just now."""
    began = time.time()
    qdrant_admin.upsert(collection, range(10))
    qdrant_admin.send("POST", f"/collections/{collection}/snapshots?wait=true")
    found = await collect(qdrant.target("q"), ["snapshots"])
    check = f"snapshot:{collection}"

    assert found.value("datatier_backups", check=check, of="q") == 1
    assert (found.value("datatier_backup_last_size_bytes", check=check, of="q") or 0) > 0
    newest = found.value("datatier_backup_last_success_timestamp_seconds", check=check, of="q")
    assert newest == pytest.approx(began, abs=120)


async def test_snapshots_under_a_policy_are_judged(qdrant: Qdrant, collection: str, qdrant_admin: Admin) -> None:
    """A collection without a snapshot fails, with one it passes; what no policy covers stays a fact."""
    policy = {"collections": [collection], "every": "1d", "keep": {"daily": 7}}
    names = ["snapshots", "snapshot_sets", "snapshot_rejected", "snapshot_retention", "snapshot_formats"]
    where = {"check": f"snapshot:{collection}", "of": "q"}
    qdrant_admin.upsert(collection, range(10))
    before = await collect(qdrant.target("q", snapshots=policy), names)
    qdrant_admin.send("POST", f"/collections/{collection}/snapshots?wait=true")
    after = await collect(qdrant.target("q", snapshots=policy), names)

    assert before.failures == after.failures == {}
    assert (before.statuses[where["check"]], after.statuses[where["check"]]) == ("fail", "pass")
    assert (before.value("datatier_backups", **where), after.value("datatier_backups", **where)) == (0, 1)
    assert before.value("datatier_backup_expected", **where) == after.value("datatier_backup_expected", **where) == 1
    assert (after.value("datatier_backup_median_size_bytes", **where) or 0) > 0
    assert after.value("datatier_backup_rejected", reason="empty", **where) == 0
    assert after.value("datatier_backup_retention_expected", tier="daily", **where) == 1
    assert after.value("datatier_backup_retained", tier="daily", **where) == 1
    assert after.value("datatier_backup_info", format="qdrant", **where) == 1
    assert after.value("datatier_backups", check="storage_snapshot", of="q") == 0


async def test_keys(servers: Servers) -> None:
    """A wrong key and none are `auth`; the read-only key reads everything, the canary included."""
    with servers.private_qdrant("full-key", "reading-key") as server:
        admin = Admin(server)
        admin.create("docs")
        admin.upsert("docs", range(5))
        for key in ({"api_key": "wrong"}, {"api_key": None}):
            with pytest.raises(QueryError) as error:
                await collect(server.target("q") | key)

            assert error.value.reason == "auth"
        found = await collect(server.target("q", api_key="reading-key"))

    assert found.failures == {}
    assert set(found.unsupported) == CLUSTER_ONLY
    assert found.info.missing_privileges == {}
    assert found.value("qdrant_collection_points", collection="docs") == 5
