"""Packed files: whole they are good, cut anywhere they are not."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cuts import passing, told
from tests.support.fuzz import examples

CHANCE = random.Random(7)
WORDS = [CHANCE.randbytes(4).hex() for _ in range(2000)]
TEXT = "\n".join(" ".join(CHANCE.choices(WORDS, k=9)) for _ in range(9_000)).encode()
NOISE = CHANCE.randbytes(400_000)


def zipped(text: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dump.sql", text)
    return file.getvalue()


def tarred(*texts: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for number, text in enumerate(texts):
            member = tarfile.TarInfo(f"file{number}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return file.getvalue()


def flushed(text: bytes) -> bytes:
    """Return a file of gzip that ends with a block of nothing, as programs write that flush."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH) + packer.flush()


# What is packed already, such as an archive of pg_dump: the text of the file has blocks and ends of its own.
PACKED = b"".join(zlib.compress(CHANCE.randbytes(20_000).hex().encode()) for _ in range(20))
FILES = {
    "gzip": gzip.compress(TEXT),
    "gzip, fastest": gzip.compress(TEXT, 1),
    "gzip, short": gzip.compress(TEXT[:9000]),
    "gzip, random": gzip.compress(NOISE),
    "gzip, flushed": flushed(TEXT),
    "gzip, packed": gzip.compress(PACKED),
    "gzip, two": gzip.compress(TEXT) + gzip.compress(b"short"),
    "gzip, the same": gzip.compress(bytes(60_000_000), 1),
    "xz": lzma.compress(TEXT, preset=1),
    "bzip2": bz2.compress(TEXT),
    "zip": zipped(TEXT),
    "tar": tarred(TEXT, b"short"),
    "tar, long last": tarred(b"short", TEXT),
    "tar, zeros": tarred(b"short", bytes(100_000)),
}


_SLOW = {
    "gzip, random": 25,
    "gzip, flushed": 9,
    "gzip, packed": 9,
    "gzip, two": 9,
}


@pytest.mark.parametrize("name", FILES)
async def test_packed_file_is_good_and_cut_one_truncated(name: str) -> None:
    assert (await told(FILES[name])).problem is None
    assert await passing(FILES[name], every=_SLOW.get(name, 4)) == []


async def test_tar_cut_within_zeros_of_a_file_is_truncated() -> None:
    """At any block: it ends as an archive does."""
    data = tarred(b"short", bytes(100_000))
    for length in range(2048, 100_000, 512 * 7):
        problem = (await told(data[:length])).problem

        assert problem is not None
        assert problem.reason == "truncated"


async def test_gzip_with_more_behind_is_told() -> None:
    for text in (TEXT, TEXT[:100]):
        problem = (await told(gzip.compress(text) + b"garbage")).problem

        assert problem == ("format", "other bytes after its end")


async def test_large_gzip_of_what_does_not_pack_is_truncated_where_it_was_cut() -> None:
    """From 4 MiB on the length at its end tells nothing any more."""
    data = gzip.compress(CHANCE.randbytes(5_000_000), 1)

    assert (await told(data)).problem is None
    assert await passing(data, every=25) == []


@pytest.mark.parametrize("name", [*(name for name in FILES if "tar" not in name), "lz4", "age", "of four"])
async def test_file_whose_end_was_never_filled_is_no_backup(name: str) -> None:
    """As a copy leaves it that was to be as large from the begin on, or a disk that lost its power."""
    lz4 = b"\x04\x22\x4d\x18\x64\x70\x00\x00\x00\x3f\x00" + NOISE  # with blocks of 4 MiB, as the program writes it
    more = {"lz4": lz4, "age": b"age-encryption.org/v1\n" + NOISE, "of four": tarred(*[NOISE[:100_000]] * 4)}
    data = more.get(name) or FILES[name]
    for percent in (1, 40, 70):
        filled = len(data) * percent // 100

        assert not (await told(data[:filled] + bytes(max(len(data), 200_000) - filled))).good, percent


MAGIC = (
    b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"PK\x03\x04", b"DZV1", b"DGV1",
    b"PGDMP\x01\x10", b"--\n-- PostgreSQL database dump\n", b"\x85", b"\xc1", b"age-encryption.org/v1\n",
)  # fmt: skip


@given(st.sampled_from(MAGIC), st.binary(max_size=3000), st.integers(0, 300_000))
@examples(40)
async def test_hostile_file_is_a_verdict(magic: bytes, rest: bytes, more: int) -> None:
    """Nothing is raised, and never more than a few reads are made."""
    backup = await told(magic + rest + bytes(more))

    assert backup.bytes == len(magic) + len(rest) + more
