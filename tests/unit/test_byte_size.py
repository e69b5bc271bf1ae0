"""Sizes as people write them."""

import pytest

from exporter.units import parse_bytes


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("500GiB", 500 * 2**30), ("2TB", 2e12), ("1.5 MB", 1.5e6), ("8192", 8192.0), (4096, 4096.0), ("10kb", 10_000.0)],
)
def test_a_size_is_bytes(text: object, bytes_: float) -> None:
    assert parse_bytes(text) == bytes_


@pytest.mark.parametrize("text", ["", "big", "5 parsecs", "-1GB", "0", "1,5GB", "9" * 400, None])
def test_what_is_no_size_says_so(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size such as 500GiB"):
        parse_bytes(text)
