"""A folder is read as a place: in order, in pages, and nothing in it leads elsewhere or blocks."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.datastores.backups.places import folder_walk
from exporter.datastores.backups.places.file_place import FilePlace
from exporter.datastores.backups.places.place import GoneError, Page
from exporter.errors import QueryError
from tests.support.unprivileged import open_folder, unprivileged

FILES = ("a/1.dump", "a/2.dump", "a-b.dump", "a.dump", "a/deep/er/3.dump", "b/4.dump", "é.dump", "z")


@pytest.fixture
def root() -> Iterator[Path]:
    with open_folder() as folder:
        for name in FILES:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(name.encode())
            os.utime(file, (0, 1_000_000))
        yield folder


def names(page: Page) -> list[str]:
    return [entry.name for entry in page.entries]


async def whole(place: FilePlace, prefix: str, *, deep: bool, most: int) -> list[str]:
    """List page by page, as a format does."""
    found, after = list[str](), ""
    while True:
        page = await place.list(prefix, deep=deep, after=after, most=most)
        assert len(page.entries) + len(page.folders) <= most
        found += sorted([*names(page), *page.folders])
        if not page.more:
            return found
        after = found[-1]


@pytest.mark.parametrize("most", [1, 2, 3, 100])
async def test_list_returns_whole_names_in_order_whatever_the_page(root: Path, most: int) -> None:
    """The order is that of whole names, in which a folder's slash counts, as S3 servers have it."""
    assert await whole(FilePlace(root), "", deep=True, most=most) == sorted(FILES)
    assert await whole(FilePlace(root), "", deep=False, most=most) == [
        "a-b.dump", "a.dump", "a/", "b/", "z", "é.dump",
    ]  # fmt: skip
    assert await whole(FilePlace(root), "a/", deep=False, most=most) == ["a/1.dump", "a/2.dump", "a/deep/"]


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("a", ["a-b.dump", "a.dump", "a/1.dump", "a/2.dump", "a/deep/er/3.dump"]),
        ("a/2", ["a/2.dump"]),
        ("a/d", ["a/deep/er/3.dump"]),
        ("none/", []),
        ("z/", []),
        ("../", []),
        ("/etc/", []),
        ("./a/", []),
        ("a//", []),
        ("a/\x00/", []),
        ("x" * 5000 + "/", []),
    ],
)
async def test_list_returns_what_begins_with_the_prefix(root: Path, prefix: str, found: list[str]) -> None:
    """A prefix may end within a name; one that no name can have, or that leads out of the place, finds nothing."""
    assert names(await FilePlace(root).list(prefix, deep=True)) == found


@pytest.mark.parametrize("after", [*FILES, "", "a", "a/", "a/deep", "a/zzz", "zz"])
async def test_list_goes_on_after_any_name(root: Path, after: str) -> None:
    """No walk is held for these: each is a listing of its own, as in the next pass."""
    page = await FilePlace(root).list("", deep=True, after=after)

    assert names(page) == [name for name in sorted(FILES) if name > after]
    assert not page.more


async def test_list_tells_size_and_time(root: Path) -> None:
    """They are those of the file."""
    page = await FilePlace(root).list("z", deep=True)

    assert page.entries == [("z", 1, 1_000_000.0)]


async def test_links_and_special_files_are_neither_listed_nor_read(root: Path) -> None:
    """Links to files and folders, pipes and sockets are ignored; nothing waits for a writer."""
    (root / "b" / "link.dump").symlink_to(root / "z")
    (root / "linked").symlink_to(root / "a")
    os.mkfifo(root / "b" / "pipe.dump")
    place = FilePlace(root)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "b" / "s"))

        assert names(await place.list("b/", deep=True)) == ["b/4.dump"]
        for name in ("b/link.dump", "linked/1.dump", "b/pipe.dump", "b/s", "b", "b/", "../z", "", "b/\x00", "no/thing"):
            with pytest.raises(GoneError):
                await place.read(name, 0, 10)
    assert (await place.list("", deep=False)).folders == ["a/", "b/"]


async def test_read_returns_the_part_that_there_is(root: Path) -> None:
    """A start beyond the end reads nothing."""
    place = FilePlace(root)

    assert await place.read("a/1.dump", 2, 3) == b"1.d"
    assert await place.read("a/1.dump", 5, 100) == b"ump"
    assert await place.read("a/1.dump", 500, 100) == b""


async def test_name_that_is_not_utf8_is_listed_and_read(root: Path) -> None:
    """Its bytes are kept, and it lies in order with the others."""
    odd = os.fsdecode(b"b/\xff\n%.dump")
    (root / odd).write_bytes(b"content")
    place = FilePlace(root)

    assert await whole(place, "b/", deep=True, most=1) == ["b/4.dump", odd]
    assert await place.read(odd, 0, 100) == b"content"


async def test_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """Only links below it are ignored."""
    (tmp_path / "link").symlink_to(root / "b")

    assert names(await FilePlace(tmp_path / "link").list("", deep=True)) == ["4.dump"]


async def test_folder_that_may_not_be_read_is_named(root: Path) -> None:
    """The rest of the place is read; the ping says what is missing until it is granted."""
    place = FilePlace(root)
    (root / "a" / "deep").chmod(0o000)
    with unprivileged():
        with pytest.raises(
            QueryError, match=r"^read a/deep/: permission denied; let the user of the exporter read it$"
        ) as caught:
            await place.list("a/", deep=True)
        denied = (await place.ping()).missing_privileges
        others = names(await place.list("b/", deep=True))
    (root / "a" / "deep").chmod(0o755)

    assert caught.value.reason == "privilege"
    assert set(denied) == {"read"}
    assert others == ["b/4.dump"]
    await place.list("a/", deep=True)
    assert not (await place.ping()).missing_privileges


async def test_file_that_may_not_be_read_is_named(root: Path) -> None:
    """It is listed, as its folder tells of it."""
    (root / "z").chmod(0o000)
    place = FilePlace(root)

    with unprivileged():
        assert names(await place.list("z", deep=True)) == ["z"]
        with pytest.raises(
            QueryError, match=r"^read z: permission denied; let the user of the exporter read it$"
        ) as caught:
            await place.read("z", 0, 1)
    assert caught.value.reason == "privilege"


async def test_lost_and_found_of_a_file_system_is_no_part_of_a_place(root: Path) -> None:
    """Only root may read it, and it is at the root of each ext4 file system."""
    (root / "lost+found").mkdir(mode=0o000)

    with unprivileged():
        assert names(await FilePlace(root).list("", deep=True)) == sorted(FILES)


async def test_more_names_than_a_listing_may_have_are_a_limit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what begins with the prefix counts; the message says what to do."""
    monkeypatch.setattr(folder_walk, "MOST_ENTRIES", 10)
    for number in range(11):
        (root / "b" / f"{number:03}").touch()
    place = FilePlace(root)

    with pytest.raises(QueryError, match=r"more than 10 files below b/: narrow `files`") as caught:
        await place.list("b/", deep=True)
    assert caught.value.reason == "limit"
    assert names(await place.list("b/4", deep=True)) == ["b/4.dump"]


async def test_tree_that_is_too_deep_is_a_limit(root: Path) -> None:
    """What lies deeper is not left out in silence."""
    (root / "b" / "/".join(["x"] * 40)).mkdir(parents=True)

    with pytest.raises(QueryError, match="more than 32 folders deep") as caught:
        await FilePlace(root).list("b/", deep=True)
    assert caught.value.reason == "limit"


async def test_many_names_in_one_folder_come_in_order(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are sorted in parts, which are merged."""
    monkeypatch.setattr(folder_walk, "_SORTED_AT_ONCE", 7)
    for number in range(50):
        (root / "b" / f"{number:03}").touch()

    expected = sorted(["b/4.dump", *(f"b/{number:03}" for number in range(50))])
    assert await whole(FilePlace(root), "b/", deep=True, most=9) == expected


async def test_files_that_vanish_between_pages_are_left_out(root: Path) -> None:
    """A rotation is no error."""
    place = FilePlace(root)
    first = await place.list("", deep=True, most=2)
    for name in ("a/deep/er/3.dump", "z"):
        (root / name).unlink()
    (root / "a" / "deep" / "er").rmdir()
    rest = await place.list("", deep=True, after=first.entries[-1].name)

    assert names(rest) == ["a/1.dump", "a/2.dump", "b/4.dump", "é.dump"]
    assert not rest.more
