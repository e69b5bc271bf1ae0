"""Custom archives of pg_dump: cut anywhere, with hostile headers, in few reads."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.datastores.backups.formats.pg_dump.custom import WINDOW
from tests.support.cuts import passing, told
from tests.support.fuzz import examples
from tests.support.pg_dump_archive import Made, archive, header

CHANCE = random.Random(14)
ZEROS = bytes(9000)
CONTENTS = [CHANCE.randbytes(700), ZEROS, CHANCE.randbytes(20_000), b"x", CHANCE.randbytes(9000), ZEROS]
LONG_LAST = [CHANCE.randbytes(700), ZEROS, CHANCE.randbytes(WINDOW * 2)]


@pytest.fixture(params=["offsets", "piped", "offsets, long last", "piped, long last", "long contents"])
def made(request: pytest.FixtureRequest) -> Made:
    contents = LONG_LAST if "long last" in request.param else CONTENTS
    return archive(contents, piped="piped" in request.param, padding=9000 if "contents" in request.param else 0)


async def test_verify_whole_archive_is_good(made: Made) -> None:
    backup = await told(made.data, "pg_dump")

    assert backup.problem is None


async def test_verify_archive_cut_anywhere_is_truncated(made: Made) -> None:
    assert await passing(made.data, "pg_dump") == []


async def test_verify_archive_cut_between_the_data_of_two_tables_is_truncated(made: Made) -> None:
    for end in (made.toc_end, *made.ends[:-1]):
        problem = (await told(made.data[:end], "pg_dump")).problem

        assert problem is not None, end
        assert problem.reason == "truncated"


async def test_verify_archive_cut_within_zeros_of_its_data_is_truncated() -> None:
    """Five bytes of 0 are the end of data; so are any five of them by their looks."""
    for piped in (True, False):
        made = archive([b"x", ZEROS], piped=piped)
        for length in range(made.ends[0] + 20, made.ends[1], 211):
            problem = (await told(made.data[:length], "pg_dump")).problem

            assert problem is not None, length


async def test_verify_says_where_the_data_would_be() -> None:
    made = archive(CONTENTS)

    problem = (await told(made.data[: made.ends[2]], "pg_dump")).problem

    assert problem == ("truncated", f"data at {made.ends[4]} of {made.ends[2]} bytes")


async def test_verify_archive_with_more_behind_is_no_good_one() -> None:
    for piped in (True, False):
        problem = (await told(archive(CONTENTS, piped=piped).data + b"garbage", "pg_dump")).problem

        assert problem is not None


@pytest.mark.parametrize("version", [(1, 11), (1, 17), (2, 0)])
async def test_verify_unknown_version_is_named(version: tuple[int, int]) -> None:
    """A guess could be wrong."""
    problem = (await told(header(0, version) + bytes(100), "pg_dump")).problem

    assert problem == ("format", f"version {version[0]}.{version[1]} of the archive is not known")


@pytest.mark.parametrize("data", [b"<html>", b"\x1f\x8bPGDMP" * 300, b"x" * 9000, b"\0" * 9000])
async def test_verify_another_kind_of_file_is_no_good_one(data: bytes) -> None:
    problem = (await told(data, "pg_dump")).problem

    assert problem is not None
    assert problem.reason in {"format", "truncated"}


@given(st.binary(max_size=400), st.integers(0, 400), st.binary(max_size=12))
@example(b"", 79, b"\x01")  # an entry whose number is below 0
@examples(300)
async def test_verify_hostile_header_is_a_verdict(tail: bytes, at: int, put: bytes) -> None:
    """Bytes of a real archive are replaced; nothing is raised, and little is read."""
    data = archive([b"x" * 30]).data
    backup = await told(data[:at] + put + data[at + len(put) :] + tail, "auto")

    assert backup.bytes >= 0
