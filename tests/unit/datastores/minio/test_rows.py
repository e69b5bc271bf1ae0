"""MinIO's answers become the right rows, also those that a test server does not give."""

import asyncio
import json
import math

import pytest

from exporter.datastores.minio import bucket_rows, cluster_rows, page_rows
from exporter.datastores.minio.admin_pages import ADMIN_PAGES
from exporter.datastores.minio.bucket_rows import Members
from exporter.datastores.minio.operations import HealthParams, NativeParams, health
from exporter.datastores.minio.session import ErrorResponse, Health
from exporter.datastores.prometheus_text import NativePage
from exporter.errors import QueryError
from exporter.queries.query import Row
from tests.support.minio_pages import PAGE, TOP_10, OnePage, by


def test_counters_stay_apart_by_node() -> None:
    """Adding nodes up would make a restart look like a burst; what was never counted is 0."""
    columns = {"requests": "minio_s3_requests_total", "canceled": "minio_s3_requests_canceled_total"}
    rows = PAGE.rows(columns, {"server": "server", "api": "api"}, zero=["canceled"])

    assert by(rows, "server", "api", value="requests") == {
        ("a:9000", "getobject"): 7.0,
        ("b:9000", "getobject"): 5.0,
        ("a:9000", "putobject"): 2.0,
    }
    assert by(rows, "server", "api", value="canceled")["b:9000", "getobject"] == 1.0
    assert by(rows, "server", "api", value="canceled")["a:9000", "putobject"] == 0.0


def test_native_adds_up_what_is_not_a_label() -> None:
    """Requests in flight of all APIs are one number; a column not in `zero` has no sample where it is absent."""
    columns = {"waiting": "minio_s3_requests_waiting_total", "inflight": "minio_s3_requests_inflight_total"}

    assert PAGE.rows(columns, {"server": "server"}) == [
        {"server": "a:9000", "waiting": 0.0, "inflight": 3.0},
        {"server": "b:9000", "waiting": 4.0, "inflight": None},
    ]


def test_errors_are_zero_until_they_happen() -> None:
    """Each API that was called has both classes."""
    rows = by(page_rows.error_rows(PAGE), "server", "api", "class", value="errors")

    assert len(rows) == 6
    assert rows["a:9000", "getobject", "4xx"] == 3.0
    assert rows["a:9000", "getobject", "5xx"] == 0.0


def test_rejected_requests_by_reason() -> None:
    """The reason moves from the name into a label."""
    assert page_rows.rejected_rows(PAGE) == [{"server": "a:9000", "reason": "timestamp", "requests": 9.0}]


def test_ttfb_leaves_out_what_is_no_histogram() -> None:
    """A +Inf below another bucket was a bug of the server; other APIs were not asked for."""
    rows = page_rows.ttfb_rows(PAGE, ["getobject"])

    assert rows == [{"server": "a:9000", "api": "getobject", "buckets": {0.05: 6.0, math.inf: 7.0}}]


def test_disk_is_what_objects_can_take() -> None:
    """Used is usable less free; without the page's capacity there is no row."""
    assert page_rows.disk_rows(PAGE) == [{"used_ratio": 0.75}]
    assert page_rows.disk_rows(NativePage(b"")) == []


def test_erasure_tolerance() -> None:
    """Tolerance is judged against what the set was built for: 0 is fine only where it is by design."""
    rows = page_rows.erasure_set_rows(PAGE, [16])

    assert by(rows, "pool", "set", value="tolerance") == {("0", "0"): 4.0, ("0", "1"): -1.0, ("1", "0"): 0.0}
    assert by(rows, "pool", "set", value="designed") == {("0", "0"): 4.0, ("0", "1"): 4.0, ("1", "0"): None}
    assert by(rows, "pool", "set", value="status") == {
        ("0", "0"): "pass",
        ("0", "1"): "fail",
        ("1", "0"): "unknown",
    }
    assert by(page_rows.erasure_set_rows(PAGE, [16, 4]), "pool", "set", value="status")["1", "0"] == "warn"


def test_drives_by_state() -> None:
    """Every state of every set is there; a node that is gone brings its drives as offline."""
    info = {
        "servers": [
            {"drives": [{"state": "ok", "pool_index": 0, "set_index": 0}, {"state": "corrupt"} | at(0, 0)]},
            {"drives": [{"state": "ok", "healing": True} | at(0, 0), {"state": "unknown (disk sick)"} | at(0, 1)]},
            {"state": "offline", "drives": [{"state": "offline"} | at(0, 1)]},
            {"state": "initializing", "drives": None},
        ]
    }
    rows = cluster_rows.drive_rows(info)
    counts = by(rows, "set", "state", value="count")

    assert len(rows) == 12
    assert {key: count for key, count in counts.items() if count} == {
        ("0", "ok"): 1.0,
        ("0", "healing"): 1.0,
        ("0", "faulty"): 1.0,
        ("1", "offline"): 1.0,
        ("1", "other"): 1.0,
    }
    assert by(rows, "set", "state", value="status")["0", "ok"] == "pass"
    assert by(rows, "set", "state", value="status")["0", "healing"] == "warn"
    assert by(rows, "set", "state", value="status")["0", "offline"] == "pass"


def test_drives_as_the_page_knows_them() -> None:
    """Without the admin call healing drives are counted, and all others that are missing count as offline."""
    counts = by(cluster_rows.drive_rows_of_page(PAGE, [16]), "pool", "set", "state", value="count")

    assert counts["0", "0", "ok"] == 15.0
    assert counts["0", "0", "healing"] == 1.0
    assert counts["0", "1", "offline"] == 5.0
    assert counts["1", "0", "offline"] is None


def test_nodes() -> None:
    """Both sources give the states they know, zeros filled in."""
    info = {"servers": [{"state": "online"}, {"state": "online"}, {"state": "offline"}]}

    assert by(cluster_rows.node_rows(info), "state", value="count") == {
        ("online",): 2.0,
        ("offline",): 1.0,
        ("initializing",): 0.0,
    }
    assert by(cluster_rows.node_rows_of_page(PAGE), "state", value="status") == {
        ("online",): "pass",
        ("offline",): "warn",
    }


def at(pool: int, drive_set: int) -> dict[str, int]:
    return {"pool_index": pool, "set_index": drive_set}


@pytest.mark.parametrize(
    ("answer", "row"),
    [
        (OnePage(200, x_minio_write_quorum="3"), {"ok": True, "quorum": 3.0, "status": "pass"}),
        (OnePage(503, x_minio_write_quorum="3"), {"ok": False, "quorum": 3.0, "status": "fail"}),
        (OnePage(503, x_minio_server_status="offline"), {"ok": False, "quorum": None, "status": "warn"}),
    ],
)
def test_health(answer: OnePage, row: Row) -> None:
    """A server that still starts is not one that has lost its quorum."""
    rows = asyncio.run(health(answer, HealthParams(endpoint="cluster"), None))  # type: ignore[arg-type]  # one page will do

    assert rows == [row]


def test_health_endpoint_that_is_not_there() -> None:
    """An endpoint that the server lacks is unsupported; a response of another program is an error."""
    for error, raised in (
        (ErrorResponse("health", 403, "AccessDenied"), QueryError),  # old releases
        (ErrorResponse("health", 404, "NoSuchBucket"), QueryError),  # other servers
        (ErrorResponse("health", 403, "", "text/html"), ErrorResponse),
        (ErrorResponse("health", 503, "ServerBusy"), ErrorResponse),
    ):

        class Pages:
            async def health(self, _endpoint: str, error: ErrorResponse = error) -> Health:
                raise error

        with pytest.raises(raised):
            asyncio.run(health(Pages(), HealthParams(endpoint="cluster"), None))  # type: ignore[arg-type]  # enough


def test_native_refuses_what_reading_resets() -> None:
    """Two readers of that family steal from each other."""
    with pytest.raises(ValueError, match="means nothing"):
        NativeParams(columns={"incoming": "minio_s3_requests_incoming_total"})


def test_rows_survive_json() -> None:
    """Rows are made of what JSON brings, whatever is missing."""
    empty = json.loads('{"servers": null, "Buckets": null}')

    assert cluster_rows.drive_rows(empty) == []
    assert by(bucket_rows.flag_rows(empty, TOP_10, Members()), "bucket", value="others") == {(None,): 0.0}


def test_what_is_kept_of_admin_pages_is_little_and_bounded() -> None:
    """Histograms and long texts are dropped before rows are made; more than a server can have is a limit."""
    bucket = {"name": "b", "size": 1, "objects": 2, "objectHistogram": {"x": 1}, "details": {"quota": {"size": 5}}}
    node = {"state": "online", "version": "v" * 10_000, "drives": [{"state": "ok", "path": "/secret", **at(0, 0)}]}
    kept = {name: page.kept for name, page in ADMIN_PAGES.items()}

    account = kept["account"]({"AccountName": "x", "Buckets": [bucket], "Server": {"DrivesPerSet": [4], "more": [1]}})
    assert account == {
        "Server": {"DrivesPerSet": [4]},
        "Buckets": [{"name": "b", "size": 1, "objects": 2, "objectHistogram": True, "details": {"quota": {"size": 5}}}],
    }
    info = kept["info"]({"servers": [node]})
    assert info == {
        "servers": [{"state": "online", "version": "v" * 200, "drives": [{"state": "ok", **at(0, 0)}]}],
    }
    usage = kept["usage"](
        {"lastUpdate": "x", "bucketsUsageInfo": {"b": {"size": 1, "objectsSizesHistogram": {}}, "c": 1}}
    )
    assert usage == {"lastUpdate": "x", "bucketsUsageInfo": {"b": {"size": 1}, "c": {}}}
    for name, page in (
        ("account", {"Buckets": [{}] * 20_001}),
        ("usage", {"bucketsUsageInfo": {str(number): {} for number in range(20_001)}}),
        ("info", {"servers": [{}] * 2_001}),
        ("info", {"servers": [{"drives": [{}] * 50_001}]}),
    ):
        with pytest.raises(QueryError, match=r"the server tells of \d+ ") as caught:
            kept[name](page)
        assert caught.value.reason == "limit"


def test_no_family_has_more_samples_than_a_cluster() -> None:
    """Each sample costs memory and time; the family is refused, not cut."""
    page = NativePage(b'minio_x{a="b"} 1\n' * 30_001, most=30_000)

    with pytest.raises(QueryError, match="more than 30000 samples of minio_x") as caught:
        page.samples("minio_x")
    assert caught.value.reason == "limit"
