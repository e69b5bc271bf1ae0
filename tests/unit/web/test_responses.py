"""A gzip stream of two parts."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.responses import deflate, gzipped


@given(st.binary(max_size=5000), st.binary(max_size=500))
def test_gzip_has_both_parts(first: bytes, rest: bytes) -> None:
    """By a reader that stops after the first stream, too; checksum and size are right, or gzip would raise."""
    stream = gzipped(deflate([first]), rest)
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    assert gzip.decompress(stream) == first + rest
    assert reader.decompress(stream) == first + rest
    assert (reader.eof, reader.unused_data) == (True, b"")


def test_first_part_is_reused() -> None:
    """What changes with each scrape is small."""
    page = deflate([b"pg_size_bytes 1.0\n" * 10_000])

    assert [gzip.decompress(gzipped(page, rest))[-1:] for rest in (b"1", b"2")] == [b"1", b"2"]
    assert len(page.data) < 2_000


@pytest.mark.parametrize("rest", [b"", b"\n"])
def test_first_part_may_be_empty(rest: bytes) -> None:
    assert gzip.decompress(gzipped(deflate([]), rest)) == rest
