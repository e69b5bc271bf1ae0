"""Listings in pages, over several looks."""

import pytest

from exporter.datastores.backups.listing import listed
from exporter.datastores.backups.look import Memory, UnfinishedError
from exporter.datastores.backups.places.place import Page
from exporter.datastores.backups.selection import Selection
from exporter.errors import QueryError
from tests.support.counted_place import CountedPlace, look_at


async def test_listed_keeps_what_matches() -> None:
    place = CountedPlace({"a.dump": b"", "b.sql": b"", "c.dump": b"", "c.d/x.dump": b"", "d/x.dump": b""}, page=2)

    found = await listed(look_at(place, "*.dump"))

    assert [entry.name for entry in found.entries] == ["a.dump", "c.dump"]
    assert found.folders == ()


@pytest.mark.parametrize(("files", "expected"), [("c*", ("c/", "cd/")), ("c*/", ("c/", "cd/")), ("**/e", ("d/e/",))])
async def test_listed_names_the_folders_that_match(files: str, expected: tuple[str, ...]) -> None:
    """Whether the place names them, or only the files in them."""
    place = CountedPlace({"c/1": b"", "c/2": b"", "cd/1": b"", "d/e/1": b""})

    assert (await listed(look_at(place, files))).folders == expected


async def test_listed_goes_on_at_the_next_look() -> None:
    """Nothing is lost, nothing twice; after the end it begins anew."""
    names = [f"{number:04}" for number in range(2500)]
    place = CountedPlace(dict.fromkeys(names, b""))
    memory = Memory()
    for _ in range(2):
        with pytest.raises(UnfinishedError):
            await listed(look_at(place, "*", memory, until=0))

    last = await listed(look_at(place, "*", memory, until=0))

    assert [entry.name for entry in last.entries] == names
    assert (memory.listings, place.lists) == ({}, 3)


async def test_listed_above_the_most_is_limit() -> None:
    """What does not match counts as well, and nothing of it stays in memory."""
    place = CountedPlace({f"{number:04}": b"" for number in range(1200)})
    memory = Memory()

    with pytest.raises(QueryError, match="more than 1,100 files: narrow `files`") as raised:
        await listed(look_at(place, "*", memory), Selection("*.none"), most=1100)

    assert (raised.value.reason, memory.listings) == ("limit", {})


class StuckPlace(CountedPlace):
    """It returns the same page for ever."""

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:  # noqa: ARG002 - that is its fault
        page = await super().list(prefix, deep=deep, most=most)
        return page._replace(more=True)


@pytest.mark.parametrize("files", [{"a": b""}, {}])
async def test_listed_that_does_not_get_on_is_decode(files: dict[str, bytes]) -> None:
    with pytest.raises(QueryError) as raised:
        await listed(look_at(StuckPlace(files)))

    assert raised.value.reason == "decode"


async def test_listed_of_a_place_that_fails_goes_on_where_it_was() -> None:
    """A timeout in the middle costs one page."""
    place = CountedPlace({f"{number:04}": b"" for number in range(1500)})
    memory = Memory()
    with pytest.raises(UnfinishedError):
        await listed(look_at(place, "*", memory, until=0))

    assert len((await listed(look_at(place, "*", memory))).entries) == 1500
