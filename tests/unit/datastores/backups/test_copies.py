import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from exporter.config.backup_policy import BackupSet
from exporter.config.stores.backups import BackupsTarget, OriginalSet
from exporter.datastores.backup_sets.backup import Backup, Copy, Problem
from exporter.datastores.backups.copies import CopyLook, compared
from exporter.datastores.backups.look import Found, Look
from exporter.datastores.backups.set_look import SetLook
from exporter.errors import QueryError
from tests.support.memory_place import MemoryFile, MemoryPlace
from tests.support.virtual_time import virtual_time

DAY = 86400.0
NOW = 1_000_000_000.0


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    return virtual_time(monkeypatch)


def a_set(files: str = "apex_*.dump", **changes: Any) -> BackupSet:
    return BackupSet.model_validate({"name": "daily", "of": "orders", "files": files, "every": "1d", **changes})


def backup(age: float, folder: str = "", **changes: Any) -> Backup:
    """Make a backup that is so many days old, and named by its age."""
    values = {"name": f"{folder}apex_{age:g}.dump", "time": NOW - age * DAY, "bytes": 20.0, **changes}
    return Backup(**values)


def copy_of(
    originals: Sequence[Backup], copies: Sequence[Backup], keep: object = None, kept: object = None, **changes: Any
) -> Copy:
    """Compare; keep: of the copy, kept: of the original."""
    copied = a_set("daily/*.dump", keep=keep, **changes)
    return compared(a_set(keep=kept), originals, copied, copies, NOW)


def test_compared_copies_in_another_folder_are_the_same() -> None:
    assert copy_of([backup(1), backup(2)], [backup(2, "daily/"), backup(1, "daily/")]) == Copy(0, 0.0)


def test_compared_newest_need_not_be_there_yet_and_counts_as_behind() -> None:
    assert copy_of([backup(0.5), backup(1.5)], [backup(1.5, "daily/")]) == Copy(0, DAY)


def test_compared_missing_are_named_newest_first() -> None:
    found = copy_of([backup(age) for age in range(1, 12)], [backup(1, "daily/")])

    assert found.missing == 10
    assert found.findings[:2] == ("missing: apex_2.dump", "missing: apex_3.dump")
    assert found.findings[-1] == "and 5 more are missing or differ"


def test_compared_smaller_copy_differs() -> None:
    found = copy_of([backup(2)], [backup(2, "daily/", bytes=10.0)])

    assert found == Copy(0, 0.0, 1, ("differs: apex_2.dump has 10 of 20 bytes",))


def test_compared_copy_that_is_being_written_does_not_differ_yet() -> None:
    assert copy_of([backup(2)], [backup(2, "daily/", bytes=10.0, being_written=True)]) == Copy(0, 0.0)


def test_compared_rejected_or_unfinished_originals_need_no_copy() -> None:
    originals = [backup(2, problem=Problem("truncated", "")), backup(3, being_written=True)]

    assert copy_of([*originals, backup(4)], [backup(4, "daily/")]) == Copy(0, 0.0)


@pytest.mark.parametrize("originals", [[], [backup(2, problem=Problem("empty", ""))]])
def test_compared_original_without_a_good_backup_proves_nothing(originals: list[Backup]) -> None:
    assert copy_of(originals, [backup(2, "daily/")]) == Copy(
        None, None, findings=("not compared: the original has no good backup",)
    )


def test_compared_original_that_we_may_not_read_needs_a_copy() -> None:
    assert copy_of([backup(2, problem=Problem("unreadable", ""))], []).missing == 1


def test_compared_without_any_copy_does_not_know_how_far_it_is_behind() -> None:
    assert copy_of([backup(2)], []) == Copy(1, None, 0, ("missing: apex_2.dump",))


@pytest.mark.parametrize(
    ("keep", "kept", "missing"),
    [
        (None, None, 9), (None, "5d", 4), ("3d", "5d", 2), ("5d", "3d", 4), ({"daily": 3}, None, 2),
        ({"weekly": 1, "daily": 2}, None, 6),
    ],
)  # fmt: skip
def test_compared_goes_back_as_far_as_the_copy_is_kept(keep: object, kept: object, missing: int) -> None:
    assert copy_of([backup(age) for age in range(1, 11)], [], keep, kept).missing == missing


def test_compared_looks_at_a_hundred_backups_at_most() -> None:
    assert copy_of([backup(age) for age in range(1, 500)], []).missing == 99


@pytest.mark.parametrize(("bytes_there", "differing"), [(25.0, 0), (19.0, 1)])
def test_compared_encrypted_copy_may_be_larger(bytes_there: float, differing: int) -> None:
    copies = [backup(2, "daily/", name="daily/apex_2.dump.age", bytes=bytes_there)]

    found = copy_of([backup(2)], copies, encrypted=True)

    assert (found.missing, found.differing) == (0, differing)


def test_compared_name_of_a_hostile_file_is_shown_safely() -> None:
    finding = copy_of([backup(2, name="a\n\x1b[31m" + "x" * 4000)], []).findings[0]

    assert finding.isprintable()
    assert len(finding) < 250


def test_compared_folders_of_backups_are_told_apart() -> None:
    original, copied = a_set("*/db.dump"), a_set("daily/*/db.dump")
    originals = [backup(2, name="mon/db.dump"), backup(3, name="tue/db.dump")]

    assert compared(original, originals, copied, [backup(2, name="daily/mon/db.dump")], NOW).findings == (
        "missing: tue/db.dump",
    )


def of_nas(chosen: BackupSet) -> OriginalSet:
    place = {"name": "nas", "store": "backups", "url": "file:///backups", "sets": [chosen]}
    return OriginalSet(BackupsTarget.model_validate(place), chosen)


class Scene:
    """A set and its original, whose backups, or errors, a test sets."""

    def __init__(self, **changes: Any) -> None:
        self.originals: list[Backup] | QueryError = []
        self.copies: list[Backup] | QueryError = []
        self.place, self.original_place = MemoryPlace(), MemoryPlace()
        chosen = a_set("daily/*.dump", copy_of="nas/apex", **changes)
        self.looks = 0
        self.set = SetLook(of_nas(chosen).place, chosen, self.here, self.place, 60.0)
        original = a_set(name="apex", **changes)
        self.copy = CopyLook(self.set, of_nas(original), self.there, self.original_place)

    async def here(self, look: Look) -> Found:
        assert look.place == self.place
        return found(self.copies)

    async def there(self, look: Look) -> Found:
        assert (look.place, look.chosen.name) == (self.original_place, "apex")
        self.looks += 1
        return found(self.originals)


def found(backups: list[Backup] | QueryError) -> Found:
    if isinstance(backups, QueryError):
        raise backups
    return Found(backups)


def aged(days: float, folder: str = "") -> Backup:
    return Backup(f"{folder}apex_{days:g}.dump", time.time() - days * DAY, 20.0)


async def test_copy_look_sets_the_comparison() -> None:
    scene = Scene()
    scene.originals, scene.copies = [aged(2), aged(3)], [aged(3, "daily/")]
    await scene.set.look()
    await scene.copy.look()

    assert scene.set.facts.copy == Copy(1, DAY, 0, ("missing: apex_2.dump",))
    assert scene.set.facts.backups == tuple(scene.copies)


async def test_copy_look_stays_until_the_next_one() -> None:
    scene = Scene()
    scene.originals = [aged(2)]
    await scene.set.look()
    await scene.copy.look()
    await scene.set.look()

    assert scene.set.facts.copy is not None


async def test_copy_look_original_that_cannot_be_read_leaves_the_rest() -> None:
    scene = Scene()
    scene.originals, scene.copies = QueryError("connect", "refused"), [aged(3, "daily/")]
    await scene.set.look()
    await scene.copy.look()

    assert scene.set.facts.error is None
    assert scene.set.facts.backups == tuple(scene.copies)
    assert scene.set.facts.copy == Copy(
        None, None, findings=("not compared: connect: the original nas/apex cannot be read: refused",)
    )


async def test_copy_look_original_that_is_not_mounted_is_no_empty_one() -> None:
    scene = Scene(marker=".here")
    scene.place.put({".here": b""})
    await scene.set.look()
    await scene.copy.look()

    copy = scene.set.facts.copy
    assert copy is not None
    assert copy.missing is None
    assert copy.findings[0].endswith(
        "the original nas/apex cannot be read: the marker .here is not there: is it mounted?"
    )


async def test_copy_look_is_due_every_quarter_of_an_hour_once_the_set_is_known() -> None:
    scene = Scene()

    assert not scene.copy.due(time.monotonic())
    await scene.set.look()
    for _ in range(60):
        if scene.copy.due(time.monotonic()):
            await scene.copy.look()
        await asyncio.sleep(60.0)
    assert scene.looks == 4


async def test_copy_look_of_a_set_that_cannot_be_read_waits() -> None:
    scene = Scene()
    await scene.set.look()
    scene.copies = QueryError("connect", "refused")
    await scene.set.look()

    assert not scene.copy.due(time.monotonic())


async def test_copy_look_of_an_archive_of_wal_compares_the_listings() -> None:
    scene = Scene(format="wal")
    segments = {
        f"0000000100000000000000{number:02}": MemoryFile(b"x" * 16, time.time() - 2 * DAY) for number in range(9)
    }
    scene.original_place.files = {f"archive/{name}": file for name, file in segments.items()}
    scene.place.files = {f"wal/{name}": file for name, file in list(segments.items())[1:]}
    chosen = a_set("wal/", format="wal", copy_of="nas/wal", every="1h")
    scene.set = SetLook(of_nas(chosen).place, chosen, scene.here, scene.place, 60.0)
    original = a_set("archive/", name="apex", format="wal")
    copy = CopyLook(scene.set, of_nas(original), scene.there, scene.original_place)
    await scene.set.look()
    await copy.look()

    assert scene.set.facts.copy == Copy(1, 2 * DAY, 0, ("missing: 000000010000000000000000",))
