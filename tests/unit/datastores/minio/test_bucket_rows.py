"""Rows of buckets and of what they hold."""

import pytest

from exporter.datastores.minio import bucket_rows
from exporter.datastores.minio.bucket_rows import LargestParams, Members
from exporter.errors import QueryError
from exporter.settings import read_queries
from tests.support.minio_pages import TOP_10, by


def test_usage_before_the_first_scan() -> None:
    """The server then answers with zeros; they are not passed on."""
    usage = {"lastUpdate": "0001-01-01T00:00:00Z", "objectsCount": 0, "bucketsUsageInfo": None}

    with pytest.raises(QueryError) as caught:
        bucket_rows.usage_rows(usage)
    assert caught.value.reason == "unsupported"
    with pytest.raises(QueryError) as caught:
        bucket_rows.bucket_rows(usage, TOP_10, Members())
    assert caught.value.reason == "unsupported"
    unscanned = {"Buckets": [{"name": "b", "objects": 0, "objectHistogram": {}}]}
    assert by(bucket_rows.bucket_rows_of_account(unscanned, TOP_10, Members()), "bucket", value="others") == {
        (None,): 0.0
    }


def test_usage_reads_nanoseconds() -> None:
    """The server writes more digits than Python keeps."""
    rows = bucket_rows.usage_rows({"lastUpdate": "2026-11-21T03:22:46.047024908Z", "objectsCount": 5})

    assert rows[0]["timestamp"] == pytest.approx(1795231366.047024)
    assert rows[0]["objects"] == 5.0
    assert rows[0]["bytes"] is None


def test_bucket_flags() -> None:
    """Suspended wins over enabled; a quota of 0 is none; old servers write it as `quota`."""
    account = {
        "Buckets": [
            {
                "name": "a",
                "details": {"versioning": True, "versioningSuspended": True, "quota": {"quota": 10, "size": 0}},
            },
            {"name": "b", "details": {"locking": True, "quota": {"quota": 0, "size": 0}}},
            {"name": "c", "details": None},
        ]
    }
    versioning = by(bucket_rows.versioning_rows(account, TOP_10, Members()), "bucket", "state", value="is")
    *flags, others = bucket_rows.flag_rows(account, TOP_10, Members())

    assert [key for key, value in versioning.items() if value] == [("a", "suspended"), ("b", "off"), ("c", "off")]
    assert [row["quota"] for row in flags] == [10.0, None, None]
    assert [row["object_lock"] for row in flags] == [None, True, None]
    assert (others["others"], others["other_quota"]) == (0.0, 0.0)


def test_the_largest_buckets_are_kept_and_the_others_added_up() -> None:
    """Above 2,000 buckets nothing vanishes: what has no series of its own is in the sums."""
    names = [f"b{number}" for number in range(2500)]
    counts = {name: {"size": size, "objectsCount": 2, "versionsCount": 3} for size, name in enumerate(names)}
    usage = {"lastUpdate": "2026-11-21T03:22:46Z", "bucketsUsageInfo": counts}
    flags = {"locking": True, "versioning": True, "quota": {"size": 100}}
    account = {"Buckets": [{"name": n, "size": s, "objectHistogram": {"x": 1}} for s, n in enumerate(names)]}
    for number in (0, 1, 2499):
        account["Buckets"][number]["details"] = flags
    query = {query.name: query for query in read_queries(["minio"])}

    *kept, others = bucket_rows.bucket_rows(usage, LargestParams(top=2000), Members())
    assert {row["bucket"] for row in kept} == set(names[500:])
    assert others == {
        "bucket": None, "bytes": None, "objects": None, "versions": None, "delete_markers": None, "others": 500.0,
        "other_bytes": sum(range(500)), "other_objects": 1000.0, "other_versions": 1500.0, "other_delete_markers": None,
    }  # fmt: skip
    assert len(query["buckets"].samples([*kept, others])[0].labels) == 2001
    *kept, others = bucket_rows.flag_rows(account, LargestParams(top=2000), Members())
    assert {row["bucket"] for row in kept} == set(names[500:])
    assert (others["others"], others["other_object_lock"], others["other_quota"]) == (500.0, 2.0, 200.0)
    assert query["bucket_flags"].samples([*kept, others])
    rows = bucket_rows.versioning_rows(account, LargestParams(top=2000), Members())
    assert by(rows[-3:], "bucket", "state", value="others") == {
        (None, "enabled"): 2.0, (None, "suspended"): 0.0, (None, "off"): 498.0,
    }  # fmt: skip
    assert len(rows) == 3 * 2001
    assert query["bucket_versioning"].samples(rows)


def test_missing_buckets_are_no_rows_but_the_sums() -> None:
    """JSON's null stands for an empty list."""
    assert by(bucket_rows.flag_rows({"Buckets": None}, TOP_10, Members()), "bucket", value="others") == {(None,): 0.0}


def test_a_bucket_keeps_its_place_until_another_is_clearly_larger() -> None:
    """Two of about the same size would else change places with every scan, and their series with them."""
    members = Members()

    assert members.divide({"a": 100.0, "b": 99.0}, 1) == {"a"}
    assert members.divide({"a": 100.0, "b": 124.0}, 1) == {"a"}
    assert members.divide({"a": 100.0, "b": 126.0}, 1) == {"b"}
    assert members.divide({"a": 100.0}, 1) == {"a"}  # b was deleted
