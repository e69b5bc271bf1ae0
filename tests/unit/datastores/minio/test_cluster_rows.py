"""Rows of nodes and drives, from the admin API and from the page of metrics."""

from exporter.datastores.minio import cluster_rows
from tests.support.minio_pages import PAGE, at, by


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


def test_missing_servers_are_no_rows() -> None:
    """JSON's null stands for an empty list."""
    assert cluster_rows.drive_rows({"servers": None}) == []
