"""Numbers and times as people say them."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import Reason
from exporter.status_page import humanize


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.912, "ratio", "91.2 %"), (0, "ratio", "0 %"), (1, "ratio", "100 %"), (0.00012, "ratio", "0.012 %"),
        (0.00141, "seconds", "1.41 ms"), (0.000_064, "seconds", "64 µs"), (0.5, "seconds", "500 ms"),
        (0, "seconds", "0 s"), (2, "seconds", "2 s"), (300, "seconds", "300 s"),
        (900, "seconds", "15 min"), (-4, "seconds", "-4 s"),
        (0, "bytes", "0 bytes"), (268_435_456, "bytes", "256 MiB"), (1.5 * 1024**4, "bytes", "1.5 TiB"),
        (1, None, "1"), (1234, None, "1,234"), (0.25, None, "0.25"), (math.inf, "bytes", "inf"),
        (math.nan, None, "nan"), (1e300, "seconds", "1e+300"),
    ],
)  # fmt: skip
def test_quantities(value: float, unit: str | None, text: str) -> None:
    assert humanize.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("value", "limit", "unit", "texts"),
    [
        (0.91, 0.9, "ratio", ("91 %", "90 %")),
        (0.9001, 0.9, "ratio", ("90.01 %", "90 %")),
        (905, 900, "seconds", ("905 s", "900 s")),
        (4, 4, None, ("4", "4")),
    ],
)
def test_a_value_beyond_its_limit_never_looks_like_it(
    value: float, limit: float, unit: str | None, texts: tuple[str, str]
) -> None:
    """People would read "90 %, limit 90 %" as a mistake."""
    assert humanize.against(value, limit, unit) == texts


@given(st.floats(), st.sampled_from(["seconds", "bytes", "ratio", None]))
def test_any_number_has_words(value: float, unit: str | None) -> None:
    """A short one, whatever a server sends."""
    assert 0 < len(humanize.quantity(value, unit)) < 40


@pytest.mark.parametrize("code", get_args(Reason))
def test_every_reason_has_words(code: str) -> None:
    assert humanize.reason(code) != code


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("replicationLag", "replication lag"),
        ("login", "login"),
        ("disk2Low", "disk2 low"),
        ("HTTPErrors", "HTTPErrors"),
    ],
)
def test_checks_read_as_words(name: str, title: str) -> None:
    assert humanize.title(name) == title


def test_long_lists_and_texts_end() -> None:
    assert humanize.listed(["a", "b"], 2) == "a, b"
    assert humanize.listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert humanize.shortened("abc", 3) == "abc"
    assert humanize.shortened("one, two", 6) == "one…"
