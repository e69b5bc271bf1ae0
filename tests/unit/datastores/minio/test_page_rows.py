"""Rows of MinIO's page of metrics, also of what a test server does not give."""

import math

from exporter.datastores.minio import page_rows
from exporter.datastores.prometheus_text import NativePage
from tests.support.minio_pages import PAGE, by


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
