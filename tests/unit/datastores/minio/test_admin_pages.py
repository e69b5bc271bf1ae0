"""What is kept of the pages of the admin API."""

import pytest

from exporter.datastores.minio.admin_pages import ADMIN_PAGES
from exporter.errors import QueryError
from tests.support.minio_pages import at


def test_admin_pages_are_reduced_and_bounded() -> None:
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
