"""The targets that Prometheus' http_sd gets."""

from exporter.exposition.http_sd import discovery
from tests.support.factories import monitored_target


def test_http_sd_has_one_entry_a_target() -> None:
    """Scraped at /probe, here, as often as it is polled, and called by its name."""
    entry, _ = discovery([monitored_target("orders", interval=15.0)], "https", "exporter:9187")

    assert entry == {
        "targets": ["exporter:9187"],
        "labels": {
            "__scheme__": "https",
            "__metrics_path__": "/probe",
            "__param_target": "orders",
            "__scrape_interval__": "15s",
            "__scrape_timeout__": "10s",
            "store": "postgres",
            "target": "orders",
        },
    }


def test_the_exporter_is_an_entry_of_its_own() -> None:
    """Scraped as often as the user's Prometheus scrapes by default."""
    [entry] = discovery([], "http", "exporter:9187")

    assert entry == {
        "targets": ["exporter:9187"],
        "labels": {
            "__scheme__": "http",
            "__metrics_path__": "/probe",
            "__param_target": "exporter",
            "store": "exporter",
            "target": "exporter",
        },
    }


def test_durations_are_as_prometheus_reads_them() -> None:
    """Without fractions; and no timeout is longer than its interval, which would cost the target."""
    found = {}
    for interval in (0.25, 1.5, 5.0, 90.0):
        entry, _ = discovery([monitored_target(interval=interval)], "http", "h:1")
        found[interval] = (entry["labels"]["__scrape_interval__"], entry["labels"]["__scrape_timeout__"])

    assert found == {
        0.25: ("250ms", "250ms"),
        1.5: ("1500ms", "1500ms"),
        5.0: ("5s", "5s"),
        90.0: ("90s", "10s"),
    }
