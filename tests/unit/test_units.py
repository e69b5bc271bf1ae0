"""Durations and sizes are read as people write them; durations never without a unit."""

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.units import Duration, parse_bytes, span

ADAPTER: TypeAdapter[float] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("15s", 15.0), ("5m", 300.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("1d", 86400.0)],
)
def test_duration_is_parsed_to_seconds(text: str, seconds: float) -> None:
    assert ADAPTER.validate_python(text) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "16",
        15,
        "15 s",
        "-5s",
        "5s!",
        "1" * 1_000_000,
        "1s" * 60,
        "s",
        "1h 30m",
        "36525d",
        "0s",
        "0ms",
        "5S",
        None,
        True,
        [],
        float("inf"),
        -1.5,
        0.0,
    ],
)
def test_duration_without_unit_is_refused(value: object) -> None:
    """A number alone would leave its unit to guess."""
    with pytest.raises(ValidationError, match=r"is not a duration such as 500ms|longer than nothing"):
        ADAPTER.validate_python(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"), (0.4, "0 s"), (52.9, "52 s"), (60, "1 min"), (299, "4 min"), (3600, "1 h"), (11_520, "3 h 12 min"),
        (86_400, "1 d"), (93_600, "1 d 2 h"), (86_460, "1 d"), (8_640_000, "100 d"),
    ],
)  # fmt: skip
def test_span_has_at_most_two_units(seconds: float, text: str) -> None:
    """Two units where one would be too rough; a negative time, from a clock that was set back, is zero."""
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("500GiB", 500 * 2**30), ("2TB", 2e12), ("1.5 MB", 1.5e6), ("8192", 8192.0), (4096, 4096.0), ("10kb", 10_000.0)],
)
def test_size_is_parsed_to_bytes(text: object, bytes_: float) -> None:
    assert parse_bytes(text) == bytes_


@pytest.mark.parametrize("text", ["", "big", "5 parsecs", "-1GB", "0", "1,5GB", "9" * 400, None])
def test_malformed_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size such as 500GiB"):
        parse_bytes(text)
