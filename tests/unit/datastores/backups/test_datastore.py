"""The datastore of a place: its queries run on what the place shows, and errors have their reasons."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from exporter.config.stores.backups import BackupsTarget
from exporter.config.stores.minio import MinioTarget
from exporter.datastores.backups.datastore import BackupsDatastore, open_datastore
from exporter.errors import QueryError
from exporter.queries.query import Query, unsupported
from exporter.settings import read_queries
from tests.support.s3_listing import ListingServer

QUERIES = {query.name: query for query in read_queries(["backups"])}
SET = {"name": "daily", "of": "orders", "files": "*.dump", "every": "1d"}


def opened(url: str, transport: httpx.AsyncBaseTransport | None = None, **settings: Any) -> BackupsDatastore:
    written = {"store": "backups", "name": "nas", "url": url, "sets": [SET], **settings}
    server = MinioTarget.model_validate({"store": "minio", "name": "objects", "url": "http://objects:9000"})
    return open_datastore(BackupsTarget.model_validate(written).linked({"objects": server}), transport)


async def samples(datastore: BackupsDatastore, *names: str) -> dict[str, list[Any]]:
    """Run queries in one pass; return the values by metric."""
    found = dict[str, list[Any]]()
    async with datastore.session("slow") as session:
        for name in names:
            query = QUERIES[name]
            for family in query.samples(await session.fetch(query)):
                found[family.metric.name] = list(family.values)
    return found


async def test_queries_show_the_sets_and_the_disk_of_a_folder(tmp_path: Path) -> None:
    """One look serves all of them."""
    (tmp_path / "app.dump").write_bytes(b"\x1f\x8b" + bytes(600))
    async with opened(f"file://{tmp_path}") as datastore:
        info = await datastore.ping()
        found = await samples(datastore, "sets", "disk", "formats")

    assert all(unsupported(query, info) is None for query in QUERIES.values())
    assert found["datatier_backup_readable"] == [1.0]
    assert 0 < found["datatier_saturation_ratio"][0] < 1
    assert found["datatier_backup_info"] == [1.0]
    assert await datastore.databases() == ()
    assert datastore.clock_skew is None


async def test_queries_show_the_sets_of_a_bucket() -> None:
    """It has no disk: the query says why it makes no samples."""
    server = ListingServer(["apex/app.dump"])
    async with opened("s3://objects/backups/apex", server.transport()) as datastore:
        info = await datastore.ping()
        found = await samples(datastore, "sets")

    error = unsupported(QUERIES["disk"], info)
    assert found["datatier_backup_readable"] == [1.0]
    assert str(error) == "a bucket has no file system of its own"
    assert datastore.clock_skew is not None


async def test_set_that_may_not_be_read_is_not_readable() -> None:
    """The place is up; the queries do not fail."""
    refused = "<Error><Code>AccessDenied</Code></Error>"
    transport = httpx.MockTransport(lambda _: httpx.Response(403, headers={"x-amz-request-id": "1"}, text=refused))
    async with opened("s3://objects/backups", transport) as datastore:
        info = await datastore.ping()
        found = await samples(datastore, "sets")

    assert set(info.missing_privileges) == {"s3:ListBucket"}
    assert found["datatier_backup_readable"] == [0.0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (QueryError("privilege", "no"), "privilege"),
        (httpx.ConnectError("refused"), "connect"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (TimeoutError(), "timeout"),
        (OSError(5, "Input/output error"), "connect"),
        (KeyError("a"), "decode"),
    ],
)
def test_each_error_has_its_reason(error: Exception, reason: str) -> None:
    """Whatever a client raises becomes a typed reason."""
    assert opened("file:///backups").reason(error) == reason


async def test_query_without_operation_is_refused() -> None:
    """A place takes no texts."""
    query = Query(name="mine", store="backups", query="SELECT 1")
    async with opened("file:///backups").session("fast") as session:
        with pytest.raises(QueryError, match="has operations only"):
            await session.fetch(query)


async def test_originals_share_the_places_that_they_lie_in(tmp_path: Path) -> None:
    """Two copies of this place's own sets open nothing; those of another place open it once, and close it."""
    names = ("near", "far", "other")
    nas: dict[str, Any] = {"store": "backups", "name": "nas", "url": f"file://{tmp_path}", "sets": [SET]}
    copies = [{**SET, "name": name, "copy_of": "vault/daily"} for name in names]
    own = [{**SET, "name": f"own-{name}", "copy_of": "nas/daily"} for name in names]
    vault = BackupsTarget.model_validate({**nas, "name": "vault", "url": "https://objects/backups"})
    target = BackupsTarget.model_validate({**nas, "sets": [SET, *copies, *own]})
    datastore = open_datastore(target.linked({"nas": target, "vault": vault}))

    assert len(vars(datastore)["_places"]) == 2
    await datastore.__aexit__()
