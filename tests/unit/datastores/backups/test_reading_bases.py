"""Archives of WAL, which are read with their base backups, and markers, which show that a place is mounted."""

import asyncio
import time
from typing import Any

import pytest

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Backup, Problem, SetFacts
from exporter.datastores.backups.look import Found, Look, UnfinishedError
from exporter.datastores.backups.reading import SetsReader
from exporter.errors import QueryError
from tests.support.backup_sets import GOOD, Formats, a_set, facts, reader, reader_of
from tests.support.memory_place import MemoryPlace
from tests.support.virtual_time import virtual_time


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    return virtual_time(monkeypatch)


def with_base(formats: Formats) -> SetsReader:
    base = BackupSet.model_validate(a_set("base"))
    wal = BackupSet.model_validate({**a_set("wal"), "format": "wal", "base": "base", "every": "5m"})
    return reader_of(formats, [wal, base])


async def test_read_archive_of_wal_is_looked_at_after_its_base() -> None:
    backups = [
        Backup("b", 9.0, 1.0, start_segment="000000010000000000000009"),
        Backup("bad", 5.0, 1.0, Problem("checksum", ""), start_segment="000000010000000000000005"),
        Backup("a", 2.0, 1.0, start_segment="000000010000000000000002"),
        Backup("none", 1.0, 1.0),
    ]
    formats = Formats(base=backups)

    await with_base(formats).read()

    assert formats.looked_at == ["base", "wal"]
    assert [base.name for base in formats.looks[1].bases or ()] == ["none", "a", "b"]


async def test_read_archive_of_wal_waits_while_its_base_is_unknown() -> None:
    formats = Formats(base=UnfinishedError())
    sets = with_base(formats)

    assert (await facts(sets))["wal"] == SetFacts()
    formats.found["base"] = [GOOD]
    await asyncio.sleep(60.0)
    assert (await facts(sets))["wal"].backups == (GOOD,)


async def test_read_archive_of_wal_without_a_readable_base_says_so() -> None:
    formats = Formats(base=QueryError("privilege", "read base/: grant r-x"))

    error = (await facts(with_base(formats)))["wal"].error

    assert error is not None
    assert (error.reason, str(error)) == ("privilege", "its base base cannot be read: read base/: grant r-x")
    assert formats.looked_at == ["base"]


async def test_read_archive_of_wal_whose_base_is_not_reached_goes_on_with_what_is_known() -> None:
    formats = Formats(base=[])
    sets = with_base(formats)
    await sets.read()
    formats.found["base"] = QueryError("connect", "refused")
    for _ in range(2):
        await asyncio.sleep(300.0)
        found = await facts(sets)

    assert found["base"].error is not None
    assert found["wal"] == SetFacts(time.time(), (GOOD,))
    assert [look.bases for look in formats.looks if look.chosen.name == "wal"] == [[], [], []]


@pytest.mark.parametrize("of_the_place", [True, False])
async def test_read_missing_marker_is_no_empty_place(*, of_the_place: bool) -> None:
    place = MemoryPlace()
    chosen = BackupSet.model_validate({**a_set("daily"), "marker": None if of_the_place else ".here"})
    sets = reader_of(Formats(), [chosen], place, ".here" if of_the_place else None)

    found = (await facts(sets))["daily"]

    assert found.error is not None
    assert found.error.reason == "connect"
    assert str(found.error) == "the marker .here is not there: is it mounted?"
    place.put({".here": b""})
    await asyncio.sleep(60.0)
    assert await facts(sets) == {"daily": SetFacts(time.time(), (GOOD,))}


async def test_read_place_unmounted_during_the_look_is_no_empty_place() -> None:
    place = MemoryPlace()
    place.put({".here": b""})

    class Unmounting(Formats):
        async def __call__(self, look: Look) -> Found:
            place.files.clear()
            return await super().__call__(look)

    found = (await facts(reader(Unmounting(), "daily", place=place, marker=".here")))["daily"]

    assert found.error is not None
    assert found.observed_at is None
