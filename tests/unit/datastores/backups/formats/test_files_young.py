"""A file that was modified a moment ago may not be complete; an object is, as soon as it is there."""

import time

import pytest

from exporter.datastores.backups.formats.auto import read
from tests.support.counted_place import CountedPlace, look_at


@pytest.mark.parametrize("shows_whole", [False, True])
async def test_young_file_is_being_written_but_in_a_place_that_shows_whole_ones(*, shows_whole: bool) -> None:
    place = CountedPlace({"a.dump": b"\x1f\x8b" + bytes(600)}, {"a.dump": time.time()}, shows_whole=shows_whole)
    (backup,) = (await read(look_at(place))).backups

    assert backup.being_written is not shows_whole


@pytest.mark.parametrize(("ends", "written"), [("\n-- PostgreSQL database dump complete\n", False), ("", True)])
async def test_young_file_whose_end_proves_that_it_is_whole_is_good(ends: str, *, written: bool) -> None:
    text = f"--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n\n--{ends}--\n\n"
    place = CountedPlace({"a.sql": text.encode()}, {"a.sql": time.time()})
    (backup,) = (await read(look_at(place))).backups

    assert (backup.being_written, backup.good) == (written, not written)
