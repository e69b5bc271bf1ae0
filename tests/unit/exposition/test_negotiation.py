"""Formats and compression, as the clients in use ask for them."""

import pytest

from exporter.exposition.negotiation import accepts_gzip, choose_format
from exporter.exposition.text_format import Format

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_30 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_TEXT_FIRST = (
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2"
)
PROMETHEUS_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "kind", "content_type"),
    [
        (PROMETHEUS_2_42, "openmetrics", OPENMETRICS),
        (PROMETHEUS_2_30, "openmetrics", OPENMETRICS),
        (PROMETHEUS_3, "openmetrics", f"{OPENMETRICS}; escaping=underscores"),
        (PROMETHEUS_3_TEXT_FIRST, "text", f"{TEXT}; escaping=underscores"),
        (PROMETHEUS_PROTOBUF, "openmetrics", OPENMETRICS),
        ("", "text", TEXT),
        ("*/*", "text", TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text", TEXT),
        ("application/openmetrics-text", "openmetrics", OPENMETRICS),
        ('Application/OpenMetrics-Text; Version="1.0.0"; Q=1.0', "openmetrics", OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", "text", TEXT),
        ("application/openmetrics-text;q=0", "text", TEXT),
        ("application/openmetrics-text;q=high,text/plain;q=0.1", "text", TEXT),
        ("text/plain,application/openmetrics-text", "text", TEXT),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.5", "openmetrics", OPENMETRICS),
        ("text/plain;q=0.9,application/openmetrics-text", "openmetrics", OPENMETRICS),
        ("application/json", "text", TEXT),
        (";;;,,q=1", "text", TEXT),
    ],
)
def test_the_best_format_by_quality(accept: str, kind: Format, content_type: str) -> None:
    """The first of equals wins; a client that accepts no format of ours gets text.

    Prometheus 3 offers UTF-8 names: ours need none, so the answer is the plainest escaping.
    """
    assert choose_format(accept) == (kind, content_type)


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("deflate, gzip;q=0.0", False),
        ("xgzip", False),
    ],
)
def test_gzip_only_for_who_accepts_it(accept_encoding: str, accepted: bool) -> None:  # noqa: FBT001 - a table's column
    """A q of 0 means no, whatever the star says."""
    assert accepts_gzip(accept_encoding) == accepted
