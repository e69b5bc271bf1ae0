"""Sets that are copies, in a pass of their place."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from exporter.config.backup_policy import Format
from exporter.config.stores.backups import BackupsTarget
from exporter.config.stores.minio import MinioTarget
from exporter.datastores.backup_sets.backup import Backup, Copy, SetFacts
from exporter.datastores.backups.look import Found, Look
from exporter.datastores.backups.reading import SetsReader
from exporter.errors import QueryError
from tests.support.memory_place import MemoryFile, MemoryPlace
from tests.support.virtual_time import virtual_time

DAY = 86400.0


@pytest.fixture
def anyio_backend(monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    return virtual_time(monkeypatch)


async def read(look: Look) -> Found:
    page = await look.place.list(look.chosen.files.partition("*")[0], deep=False)
    return Found([Backup(entry.name, entry.modified, entry.bytes) for entry in page.entries])


def reader(place: MemoryPlace, original: MemoryPlace, **changes: Any) -> SetsReader:
    """Make a reader of one set, which is a copy of nas/apex or of the bucket objects/documents."""
    nas = BackupsTarget.model_validate(
        {"name": "nas", "store": "backups", "url": "file:///backups", "sets": [a_set("apex", files="apex_*")]}
    )
    objects = MinioTarget.model_validate({"name": "objects", "store": "minio", "url": "http://minio.example:9000"})
    offsite = BackupsTarget.model_validate(
        {"name": "offsite", "store": "backups", "url": "file:///copies", "sets": [a_set("copy", **changes)]}
    ).linked({"nas": nas, "objects": objects})
    return SetsReader(offsite, place, dict.fromkeys(get_args(Format), read), {"copy": original})


def a_set(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "of": "orders", "files": f"{name}/", "every": "1d", **changes}


def dumps(folder: str, *ages: float) -> dict[str, MemoryFile]:
    return {f"{folder}apex_{age:g}": MemoryFile(b"dump", time.time() - age * DAY) for age in ages}


async def facts(sets: SetsReader) -> SetFacts:
    (one,) = await sets.read()
    return one.facts


async def test_read_copy_of_a_set_is_compared_in_the_first_pass() -> None:
    place, original = MemoryPlace(dumps("daily/", 1, 3)), MemoryPlace(dumps("", 1, 2, 3))

    found = await facts(reader(place, original, files="daily/*", copy_of="nas/apex"))

    assert found.copy == Copy(1, 0.0, 0, ("missing: apex_2",))
    assert [backup.name for backup in found.backups] == ["daily/apex_1", "daily/apex_3"]


async def test_read_copy_whose_original_hangs_is_known_by_itself() -> None:
    place, original = MemoryPlace(dumps("daily/", 1)), MemoryPlace(hanging={"apex_"})

    found = await facts(reader(place, original, files="daily/*", copy_of="nas/apex"))

    assert found.error is None
    assert len(found.backups) == 1
    assert found.copy == Copy(None, None, findings=("not compared: timeout: the place did not answer within 20 s",))


def objects(*names: str) -> Mapping[str, MemoryFile]:
    return {name: MemoryFile(b"object", time.time() - DAY) for name in names}


MIRROR = {"files": "documents/", "copy_of": "objects/documents", "every": "1h"}


async def test_read_mirror_of_a_bucket_is_compared_name_by_name() -> None:
    place, original = MemoryPlace(dict(objects("documents/a"))), MemoryPlace(dict(objects("a", "b")))

    found = await facts(reader(place, original, **MIRROR))

    assert found.copy == Copy(1, DAY, 0, ("missing: b",))
    assert found.backups == (Backup("documents/", time.time() - DAY, 6.0),)


async def test_read_mirror_is_compared_every_quarter_of_an_hour() -> None:
    original = MemoryPlace(dict(objects("a")))
    sets = reader(MemoryPlace(dict(objects("documents/a"))), original, **MIRROR)
    for _ in range(60):
        await sets.read()
        await asyncio.sleep(60.0)

    assert len(original.asked) == 4


async def test_read_mirror_whose_original_is_down_keeps_what_is_known() -> None:
    original = MemoryPlace(dict(objects("a")))
    sets = reader(MemoryPlace(dict(objects("documents/a"))), original, **MIRROR)
    before = await facts(sets)
    original.failing = QueryError("connect", "refused")
    await asyncio.sleep(900.0)

    after = await facts(sets)

    assert after.backups == before.backups
    assert str(after.error) == "the original objects/documents cannot be read: refused"
