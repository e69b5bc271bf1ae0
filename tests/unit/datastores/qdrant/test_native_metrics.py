"""The server's own page: its metrics picked, its requests folded, its histograms added up."""

import math

from exporter.datastores.qdrant.native_metrics import (
    duration_rows,
    limit_rows,
    metrics_page,
    native_rows,
    operation_of,
    request_rows,
)
from tests.support.qdrant_recorded import metrics

OLD_PAGE = rb"""
app_info{name="qdrant",version="1.9.0"} 1
rest_responses_total{SEARCH} 7
rest_responses_total{RECOMMEND} 2
rest_responses_duration_seconds_bucket{SEARCH,le="0.0010000000474974513"} 3
rest_responses_duration_seconds_bucket{SEARCH,le="0.01"} 7
rest_responses_duration_seconds_bucket{SEARCH,le="+Inf"} 7
rest_responses_duration_seconds_sum{SEARCH} 0.02
rest_responses_duration_seconds_count{SEARCH} 7
rest_responses_duration_seconds_bucket{RECOMMEND,le="0.005"} 1
rest_responses_duration_seconds_bucket{RECOMMEND,le="+Inf"} 2
rest_responses_duration_seconds_sum{RECOMMEND} 60.5
rest_responses_duration_seconds_count{RECOMMEND} 2
grpc_responses_total{endpoint="/qdrant.Points/Upsert"} 4
"""
for name in (b"search", b"recommend"):
    labels = b'method="POST",endpoint="/collections/{name}/points/' + name + b'",status="200"'
    OLD_PAGE = OLD_PAGE.replace(name.upper(), labels)


def _durations(body: bytes, version: str, protocol: str, operation: str) -> tuple[dict[float, float], object]:
    for row in duration_rows(metrics_page(body), version):
        if (row["protocol"], row["operation"]) == (protocol, operation):
            assert isinstance(row["buckets"], dict)
            return row["buckets"], row["seconds"]
    raise AssertionError(f"no {protocol} {operation}")


def test_requests_of_one_operation_are_added_up() -> None:
    """Endpoints that do the same become one operation, by status."""
    rows = request_rows(metrics_page(metrics("2-two-collections")), "1.18.3")
    counts = {(row["protocol"], row["operation"], row["status"]): row["requests"] for row in rows}

    assert counts["rest", "search", "200"] == 91.0
    assert counts["rest", "search", "404"] == 1.0
    assert counts["rest", "upsert", "200"] == 11.0
    assert counts["rest", "count", "400"] == 1.0
    assert counts["rest", "index", "200"] == 1.0


def test_requests_not_sent_yet_are_zero() -> None:
    """A server without requests has its search and upsert counters at 0, in every label set they will have."""
    rows = request_rows(metrics_page(b'app_info{name="qdrant"} 1\n'), "1.18.3")

    assert {(r["protocol"], r["operation"], r["status"], r["requests"]) for r in rows} == {
        ("rest", "search", "200", 0.0),
        ("rest", "upsert", "200", 0.0),
        ("grpc", "search", "0", 0.0),
        ("grpc", "upsert", "0", 0.0),
    }


def test_dense_histogram_keeps_its_buckets() -> None:
    """From 1.16 on every bucket is there; their bounds and counts stay."""
    buckets, seconds = _durations(metrics("2-two-collections"), "1.18.3", "rest", "search")

    assert list(buckets) == [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0, math.inf]
    assert [buckets[0.001], buckets[0.005], buckets[0.02], buckets[math.inf]] == [22.0, 76.0, 91.0, 91.0]
    assert seconds == 0.273628


def test_sparse_histogram_gets_its_empty_buckets_back() -> None:
    """Before 1.16 empty buckets are left out and differ by endpoint: they are filled, then added."""
    buckets, seconds = _durations(OLD_PAGE, "1.9.0", "rest", "search")

    assert len(buckets) == 17
    assert [buckets[bound] for bound in (0.0005, 0.001, 0.005, 0.01, 50.0)] == [0.0, 3.0, 4.0, 8.0, 8.0]
    assert buckets[math.inf] == 9.0
    assert list(buckets.values()) == sorted(buckets.values())
    assert seconds == 60.52


def test_grpc_without_a_status_has_an_empty_one() -> None:
    """Before 1.17.1 gRPC's requests carry no status."""
    rows = request_rows(metrics_page(OLD_PAGE), "1.9.0")

    assert {(r["status"], r["requests"]) for r in rows if (r["protocol"], r["operation"]) == ("grpc", "upsert")} == {
        ("", 4.0)
    }


def test_operations_by_endpoint() -> None:
    """Every endpoint that the server counts falls into an operation by what it does."""
    rest = {
        ("POST", "/points/query/batch"): "search",
        ("POST", "/points/discover"): "search",
        ("POST", "/points/search/matrix/pairs"): "search",
        ("POST", "/points/facet"): "facet",
        ("PUT", "/points"): "upsert",
        ("POST", "/points"): "retrieve",
        ("GET", "/points/{id}"): "retrieve",
        ("POST", "/points/delete"): "delete",
        ("POST", "/points/payload/delete"): "payload",
        ("POST", "/points/vectors/delete"): "vectors",
        ("POST", "/points/batch"): "batch",
        ("POST", "/points/scroll"): "scroll",
        ("DELETE", "/somewhere/else"): "other",
    }
    grpc = {
        "QueryBatch": "search",
        "SearchMatrixPairs": "search",
        "Upsert": "upsert",
        "Get": "retrieve",
        "Delete": "delete",
        "DeletePayload": "payload",
        "DeleteVectors": "vectors",
        "UpdateVectors": "vectors",
        "UpdateBatch": "batch",
        "DeleteFieldIndex": "index",
    }

    for (method, path), operation in rest.items():
        endpoint = f"/collections/{{collection_name}}{path}"
        assert (path, operation_of({"method": method, "endpoint": endpoint})) == (path, operation)
    for call, operation in grpc.items():
        assert (call, operation_of({"endpoint": f"/qdrant.Points/{call}"})) == (call, operation)


def test_prefix_of_the_servers_names_is_removed() -> None:
    """`service.metrics_prefix` puts words before every name; rows are the same."""
    plain = metrics("2-two-collections")
    lines = [line if line.startswith(b"#") else b"qdrant_" + line for line in plain.splitlines()]
    prefixed = metrics_page(b"\n".join(lines))

    assert request_rows(prefixed, "1.18.3") == request_rows(metrics_page(plain), "1.18.3")


def test_picked_metrics_are_joined_by_their_labels() -> None:
    """One row a set of labels; a metric that lacks it is None, and a name that only begins alike is not taken."""
    body = b'a{id="x"} 1\na{id="y"} 2\nb{id="y"} 5\na_b{id="y"} 9\n'
    rows = native_rows(metrics_page(body), {"one": "a", "two": "b"}, {"collection": "id"}, 2)

    assert rows == [
        {"collection": "y", "one": 2.0, "two": 5.0},
        {"collection": "x", "one": 1.0, "two": None},
    ]


def test_process_limits_give_used_ratios() -> None:
    """Used divided by allowed; no row where the limit is missing."""
    page = metrics_page(b"process_open_fds 50\nprocess_max_fds 200\nprocess_open_mmaps 7\n")

    assert limit_rows(page) == [{"resource": "file_descriptors", "used_ratio": 0.25}]
