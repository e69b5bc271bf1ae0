"""A ping shows that a folder is mounted and can be listed; one that hangs holds nothing else up."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.datastores.backups.places import file_place
from exporter.datastores.backups.places.file_place import FilePlace
from exporter.errors import QueryError
from tests.support.unprivileged import open_folder, unprivileged


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], threading.Event]]:
    """Make the system's calls on names that end so hang until the event: no file system that hangs can be mounted."""
    event, suffixes, real = threading.Event(), list[str](), os.open

    def opened(path: Any, *args: Any, **kwargs: Any) -> int:
        if any(str(path).endswith(suffix) for suffix in suffixes):
            event.wait(20)
        return real(path, *args, **kwargs)

    def hang(suffix: str) -> threading.Event:
        suffixes.append(suffix)
        return event

    monkeypatch.setattr(os, "open", opened)
    for name in ("_LIST_SECONDS", "_READ_SECONDS", "_PING_SECONDS"):
        monkeypatch.setattr(file_place, name, 0.1)
    yield hang
    event.set()


def _with_mode(folder: Path, mode: int) -> Path:
    (folder / "place").mkdir(mode=mode)
    return folder / "place"


async def failure(place: FilePlace) -> QueryError:
    with pytest.raises(QueryError) as caught:
        await place.ping()
    return caught.value


async def test_ping_names_the_folder_by_device_and_inode(tmp_path: Path) -> None:
    """So a mount that comes or goes is another place."""
    root = tmp_path.stat()  # noqa: ASYNC240 - it is at hand
    info = await FilePlace(tmp_path).ping()

    assert (info.edition, info.version, info.identity) == ("file", "", f"{root.st_dev}:{root.st_ino}")
    assert not info.missing_privileges


async def test_ping_of_a_folder_that_is_not_there_asks_for_the_mount(tmp_path: Path) -> None:
    """A file in its place is no better."""
    (tmp_path / "file").touch()

    missing, file = await failure(FilePlace(tmp_path / "none")), await failure(FilePlace(tmp_path / "file"))
    assert (missing.reason, str(missing)) == ("connect", "no such folder; is it mounted?")
    assert (file.reason, str(file)) == ("connect", "the place is no folder; is it mounted?")


async def test_ping_demands_the_marker(tmp_path: Path) -> None:
    """An empty mount point is no empty place."""
    place = FilePlace(tmp_path, ".datatier")

    error = await failure(place)
    assert (error.reason, str(error)) == ("connect", "its marker is not there: is the place mounted?")
    (tmp_path / ".datatier").touch()
    assert (await place.ping()).identity


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
async def test_ping_names_the_right_that_it_lacks(mode: int) -> None:
    """To list or to enter alone is of no use; the place is there all the same."""
    with open_folder() as folder:
        place = FilePlace(_with_mode(folder, mode))
        with unprivileged():
            refused = await place.ping()
            with pytest.raises(QueryError, match="r-x") as caught:
                await place.list("", deep=True)
        granted = await place.ping()

    assert set(refused.missing_privileges) == {"read"}
    assert caught.value.reason == "privilege"
    assert granted.missing_privileges == {"read": refused.missing_privileges["read"]}  # the list was not tried again


async def test_disk_is_as_full_as_df_says(tmp_path: Path) -> None:
    """It is the share of what the exporter's user, who is not root, could fill."""
    use = await FilePlace(tmp_path).disk()

    assert use is not None
    assert 0 < use.used_ratio < 1


async def test_folder_that_hangs_is_a_timeout_and_the_next_call_fails_at_once(
    tmp_path: Path, hanging: Callable[[str], threading.Event]
) -> None:
    """One thread is left behind, which nothing waits for; once the file system answers all is well."""
    event, place = hanging(tmp_path.name), FilePlace(tmp_path)

    assert (await failure(place)).reason == "timeout"
    began = time.monotonic()
    errors = [await failure(place) for _ in range(20)]
    with pytest.raises(QueryError, match="still does not answer"):
        await place.list("a/", deep=True)
    assert {error.reason for error in errors} == {"timeout"}
    assert time.monotonic() - began < 0.1
    left = [thread for thread in threading.enumerate() if thread.name == "place of backups"]
    assert [thread.daemon for thread in left] == [True]

    event.set()
    left[0].join(5)
    await asyncio.sleep(0.01)
    assert (await place.ping()).identity


async def test_part_that_hangs_leaves_the_other_parts_readable(
    tmp_path: Path, hanging: Callable[[str], threading.Event]
) -> None:
    """Other file systems may be mounted below the place."""
    for name in ("dead", "live"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    hanging("dead")
    place = FilePlace(tmp_path)

    for _ in range(6):
        with pytest.raises(QueryError, match="hangs"):
            await place.list("dead/", deep=True)
    assert [entry.name for entry in (await place.list("live/", deep=True)).entries] == ["live/file"]
    assert (await place.ping()).identity


async def test_four_threads_are_left_behind_at_most(tmp_path: Path, hanging: Callable[[str], threading.Event]) -> None:
    """Then the place is a timeout as a whole."""
    for number in range(6):
        (tmp_path / f"{number}dead").mkdir()
    hanging("dead")
    place = FilePlace(tmp_path)

    reads = [place.read(f"{number}dead/file", 0, 1) for number in range(6)]
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, QueryError)} == {"timeout"}
    assert sum(thread.name == "place of backups" for thread in threading.enumerate()) == 4
    assert (await failure(place)).reason == "timeout"


async def test_call_that_is_cancelled_is_not_waited_for(
    tmp_path: Path, hanging: Callable[[str], threading.Event]
) -> None:
    """The caller's deadline may be shorter."""
    hanging(tmp_path.name)
    place = FilePlace(tmp_path)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await place.ping()
    assert "still does not answer" in str(await failure(place))
