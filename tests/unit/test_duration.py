"""Durations are read as people write them, never without a unit, and told as people say them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from exporter.units import Duration, span

ADAPTER: TypeAdapter[float] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("15s", 15.0), ("5m", 300.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("1d", 86400.0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
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
def test_anything_else_is_refused(value: object) -> None:
    """A number alone would leave the reader to guess its unit."""
    with pytest.raises(ValidationError, match=r"is not a duration such as 500ms|longer than nothing"):
        ADAPTER.validate_python(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"), (0.4, "0 s"), (52.9, "52 s"), (60, "1 min"), (299, "4 min"), (3600, "1 h"), (11_520, "3 h 12 min"),
        (86_400, "1 d"), (93_600, "1 d 2 h"), (86_460, "1 d"), (8_640_000, "100 d"),
    ],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    """Two units where one would be too rough; a clock that was set back is no time at all."""
    assert span(seconds) == text
