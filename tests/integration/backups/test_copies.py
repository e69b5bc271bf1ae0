"""Copies on real places: a folder and its copy in a bucket, a bucket and its mirror, an original that stops."""

import gzip
import io
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from minio.commonconfig import SnowballObject

from exporter.config.stores.backups import BackupsTarget
from exporter.config.stores.minio import MinioTarget
from exporter.datastores.backup_sets.backup import Copy, SetFacts
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.datastores.backups.datastore import BackupsDatastore, open_datastore
from testkit.minio import Minio
from testkit.process import free_port
from testkit.session import Servers
from tests.support.minio_admin import put, s3

DAY = 86400.0
ODD = (
    "a b", "a+b", "a%2Fb", "a&b=c?d", "ä/ö", "\N{GRINNING FACE}", "a-b", "a.b", "ab/c", "ab.c", "<x>&amp;", "~",
    "'quoted'", '"', "z" * 250, "sub/" + "d/" * 20 + "deep", "A", "0", "#", "a\tb",
)  # fmt: skip


@pytest.fixture
def minio(servers: Servers) -> Iterator[Minio]:
    with servers.private_minio() as server:
        for bucket in ("documents", "mirror", "offsite"):
            s3(server).make_bucket(bucket_name=bucket)
        yield server


@asynccontextmanager
async def opened(minio: Minio, folder: Path, **changes: Any) -> AsyncIterator[BackupsDatastore]:
    """Open a place with one set, whose original is the bucket `documents`, or the set nas/daily in a folder."""
    nas = place("nas", f"file://{folder}", name="daily", files="apex_*.dump")
    objects = MinioTarget.model_validate(minio.target("objects"))
    target = place("offsite", **changes).linked({"nas": nas, "objects": objects})
    async with open_datastore(target) as datastore:
        yield datastore


def place(target: str, url: str, **chosen: Any) -> BackupsTarget:
    settings = {"of": "orders", "every": "1d", **chosen}
    return BackupsTarget.model_validate({"name": target, "store": "backups", "url": url, "sets": [settings]})


async def look(datastore: BackupsDatastore) -> SetFacts:
    async with datastore.session("slow") as session:
        (one,) = await session.read("sets")
    assert isinstance(one, ObservedSet)
    return one.facts


MIRROR = {
    "url": "s3://objects/mirror",
    "name": "mirror",
    "files": "copies/",
    "copy_of": "objects/documents",
    "every": "1s",
    "grace": "1s",
}


async def test_mirror_of_a_bucket_with_odd_names_lacks_nothing(minio: Minio, tmp_path: Path) -> None:
    client = s3(minio)
    for name in ODD:
        put(client, "documents", name, 10)
        put(client, "mirror", f"copies/{name}", 10)
    put(client, "mirror", "other", 10)

    async with opened(minio, tmp_path, **MIRROR) as datastore:
        facts = await look(datastore)

    assert facts.error is None
    assert facts.copy == Copy(0, 0.0)
    [backup] = facts.backups
    assert (backup.name, backup.bytes) == ("copies/", 10.0 * len(ODD))


async def test_mirror_names_each_odd_object_that_it_lacks(minio: Minio, tmp_path: Path) -> None:
    client = s3(minio)
    for name in ODD:
        put(client, "documents", name, 10)
    for name in ODD[3:]:
        put(client, "mirror", f"copies/{name}", 9 if name == "ab.c" else 10)
    await anyio.sleep(2.5)  # longer than every and grace

    async with opened(minio, tmp_path, **MIRROR) as datastore:
        facts = await look(datastore)

    assert facts.copy is not None
    assert (facts.copy.missing, facts.copy.differing) == (3, 1)
    assert set(facts.copy.findings) == {
        "missing: a b",
        "missing: a+b",
        "missing: a%2Fb",
        "differs: ab.c has 9 of 10 bytes",
    }
    assert 2 < time.time() - facts.backups[0].time < 60


def fill(minio: Minio, bucket: str, names: Sequence[str]) -> None:
    """Put many small objects with one request."""
    objects = [SnowballObject(object_name=name, data=io.BytesIO(b"1"), length=1) for name in names]
    s3(minio).upload_snowball_objects(bucket_name=bucket, object_list=objects)


async def test_mirror_of_more_objects_than_a_page_is_compared_whole(minio: Minio, tmp_path: Path) -> None:
    names = [f"{number % 7}/{number}" for number in range(1_300)]
    fill(minio, "documents", names)
    fill(minio, "mirror", [f"copies/{name}" for name in names if name != "3/1200"])
    await anyio.sleep(2.5)

    async with opened(minio, tmp_path, **MIRROR) as datastore:
        facts = await look(datastore)

    assert facts.copy is not None
    assert facts.copy.findings == ("missing: 3/1200",)


DUMP = gzip.compress(bytes(100), mtime=0)


def dumps(folder: Path, ages: Mapping[str, float]) -> None:
    for name, age in ages.items():
        (folder / name).write_bytes(DUMP)
        os.utime(folder / name, (time.time() - age * DAY,) * 2)


def copy_to(minio: Minio, name: str, content: bytes) -> None:
    s3(minio).put_object(bucket_name="offsite", object_name=name, data=io.BytesIO(content), length=len(content))


async def test_copy_of_a_folder_in_a_bucket_is_compared(minio: Minio, tmp_path: Path) -> None:
    dumps(tmp_path, {"apex_1.dump": 1.5, "apex_2.dump": 2.5, "apex_3.dump": 3.5})
    copy_to(minio, "daily/apex_2.dump", DUMP)
    copy_to(minio, "daily/apex_3.dump", DUMP[:-5])

    async with opened(
        minio, tmp_path, url="s3://objects/offsite", name="copy", files="daily/*.dump", copy_of="nas/daily"
    ) as datastore:
        facts = await look(datastore)

    assert facts.copy is not None
    assert facts.copy.findings == (
        "missing: apex_1.dump",
        f"differs: apex_3.dump has {len(DUMP) - 5} of {len(DUMP)} bytes",
    )
    assert facts.copy.behind == pytest.approx(DAY, abs=5)
    assert len(facts.backups) == 2


async def test_copy_whose_original_is_unmounted_is_known_by_itself(minio: Minio, tmp_path: Path) -> None:
    put(s3(minio), "offsite", "daily/apex_1.dump", 102)

    async with opened(
        minio, tmp_path / "gone", url="s3://objects/offsite", name="copy", files="daily/*.dump", copy_of="nas/daily"
    ) as datastore:
        facts = await look(datastore)

    assert facts.error is None
    assert len(facts.backups) == 1
    assert facts.copy is not None
    assert (facts.copy.missing, facts.copy.behind) == (None, None)
    assert "the original nas/daily cannot be read: no such folder" in facts.copy.findings[0]


async def test_mirror_whose_original_does_not_answer_is_unknown(minio: Minio, tmp_path: Path) -> None:
    """A folder's mirror: the bucket's server is asked, and is not there."""
    (tmp_path / "copies").mkdir()
    objects = MinioTarget.model_validate(minio.target("objects") | {"url": f"http://127.0.0.1:{free_port()}"})
    target = place("nas", **MIRROR | {"url": f"file://{tmp_path}"}).linked({"objects": objects})
    async with open_datastore(target) as datastore:
        facts = await look(datastore)

    assert facts.error is not None
    assert facts.error.reason == "connect"
    assert str(facts.error) == "the original objects/documents cannot be read: the server cannot be reached"
    assert (facts.observed_at, facts.copy) == (None, None)
