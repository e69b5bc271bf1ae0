"""Base backups whose manifests are hostile or of the corner; other tests try pg_basebackup itself."""

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping
from typing import Any

import pytest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats.base_backups import basebackup
from exporter.errors import QueryError
from tests.support.backup_looks import NOW, look_at
from tests.support.memory_place import MemoryFile, MemoryPlace

FILES = {"backup_label": 3, "PG_VERSION": 3, "global/pg_control": 3}
MODIFIED = "2026-11-30 02:00:00 GMT"


def tarred(*texts: str | bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for number, text in enumerate(texts):
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(f"file{number}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def manifest(files: Mapping[str, object] = FILES, ranges: str = "", lines: tuple[str, ...] = ()) -> bytes:
    """Write a manifest as the server does, with its checksum."""
    described = [
        json.dumps({"Path": path, "Size": size, "Last-Modified": MODIFIED}).replace("{", "{ ").replace("}", " }")
        for path, size in files.items()
    ]
    ranges = ranges or '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }'
    text = '{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7714065208180295363,\n"Files": [\n'
    text += ",\n".join([*described, *lines]) + f'\n],\n"WAL-Ranges": [\n{ranges}\n],\n'
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return (text + f'"Manifest-Checksum": "{digest}"}}\n').encode("utf-8", "surrogateescape")


def place_with(content: bytes, *paths: str) -> MemoryPlace:
    place = MemoryPlace()
    place.put({f"base/one/{path}": b"abc" for path in (paths or FILES)}, NOW - 7000)
    place.put({"base/one/backup_manifest": content}, NOW - 7000)
    return place


async def backup_in(place: MemoryPlace, **parts: Any) -> Backup:
    [found] = (await basebackup.read(look_at(place, "base/*/", "basebackup", **parts))).backups
    return found


async def test_read_plain_backup_is_of_the_time_of_its_last_file() -> None:
    content = manifest()

    found = await backup_in(place_with(content))

    assert found == Backup(
        "base/one", 1796004000, 9 + len(content), seconds=0, start_segment="000000010000000000000002"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "format"),
        (b"[" * 100_000, "format"),
        (manifest().replace(b"PG_VERSION", b"PG_VERSIOM"), "checksum"),
        (manifest()[:-30], "checksum"),
        (manifest() + b"x", "checksum"),
        (b'{ "PostgreSQL-Backup-Manifest-Version": 2,' + b'{ "Size"' * 10_000, "checksum"),
    ],
    ids=["empty", "a bomb", "changed", "cut", "longer", "no lines"],
)
async def test_read_manifest_that_is_none_is_rejected(content: bytes, reason: str) -> None:
    problem = (await backup_in(place_with(content))).problem

    assert problem is not None
    assert problem.reason == reason


async def test_read_names_that_are_no_text_are_compared_as_bytes() -> None:
    encoded = '{ "Encoded-Path": "' + b"\xff\xfe".hex() + '", "Size": 3 }'
    name = b"\xff\xfe".decode(errors="surrogateescape")

    assert (await backup_in(place_with(manifest(lines=(encoded,)), *FILES, name))).problem is None
    problem = (await backup_in(place_with(manifest(lines=(encoded,))))).problem
    assert problem == Problem("truncated", r"\udcff\udcfe is not there")


@pytest.mark.parametrize("size", ["3", None, [], 3.5, {}])
async def test_read_sizes_that_are_no_numbers_are_left_out(size: object) -> None:
    assert (await backup_in(place_with(manifest(FILES | {"x": size})))).problem is None


async def test_read_tablespaces_behind_links_are_not_compared() -> None:
    outside = manifest(FILES | {"pg_tblspc/16385/PG_18/5/1": 8192})

    assert (await backup_in(place_with(outside))).problem is None
    there = place_with(outside, *FILES, "pg_tblspc/16385/PG_18/5/2")
    assert (await backup_in(there)).problem == Problem("truncated", "pg_tblspc/16385/PG_18/5/1 is not there")


async def test_read_wal_beside_the_files_must_hold_the_first_segment() -> None:
    whole = place_with(manifest(), *FILES, "pg_wal/000000010000000000000002", "pg_wal/000000010000000000000003")
    cut = place_with(manifest(), *FILES, "pg_wal/000000010000000000000003")

    assert (await backup_in(whole)).problem is None
    assert (await backup_in(cut)).problem == Problem("truncated", "pg_wal/000000010000000000000002 is not there")


async def test_read_backup_over_a_switch_of_timelines_begins_with_the_older_one() -> None:
    ranges = (
        '{ "Timeline": 2, "Start-LSN": "0/5000000", "End-LSN": "0/6000000" },\n'
        '{ "Timeline": 1, "Start-LSN": "0/4000028", "End-LSN": "0/5000000" }'
    )

    assert (await backup_in(place_with(manifest(ranges=ranges)))).start_segment == "000000010000000000000004"


async def test_read_manifest_too_large_is_judged_by_its_ends() -> None:
    large = manifest(lines=tuple(f'{{ "Path": "{"x" * 2**20}{number}", "Size": 1 }}' for number in range(33)))

    found = await backup_in(place_with(large))

    assert (found.problem, found.start_segment, found.time) == (None, "000000010000000000000002", NOW - 7000)
    assert ((await backup_in(place_with(large[:-100]))).problem or found).__class__ is Problem


async def test_read_archives_of_tablespaces_must_be_there() -> None:
    place = place_with(manifest(FILES | {"pg_tblspc/16385/PG_18/5/1": 1000}), "x.tar")
    place.put({"base/one/base.tar": tarred(*(["abc"] * 3))}, NOW - 7000)

    assert (await backup_in(place)).problem == Problem("truncated", "16385.tar is not there")
    place.put({"base/one/16385.tar": tarred("a" * 1000)}, NOW - 7000)
    assert (await backup_in(place)).problem is None


@pytest.mark.parametrize("kind", [".tar", ".tar.gz", ".tar.lz4", ".tar.zst"])
async def test_read_archive_without_its_end_is_truncated(kind: str) -> None:
    """Cut, or with zeros where its end was to be written."""
    noise = random.Random(3).randbytes(900_000)
    whole = tarred(*(noise[begin : begin + 30_000] for begin in range(0, 900_000, 30_000)))
    head = {".tar.lz4": b"\x04\x22\x4d\x18\x64\x70\x00", ".tar.zst": b"\x28\xb5\x2f\xfd\x04\x58"}.get(kind, b"")
    data = gzip.compress(whole) if kind == ".tar.gz" else head + whole
    for name in ("base", "pg_wal"):
        place = place_with(manifest(), "x.tar")
        place.put({"base/one/base.tar": tarred(*(["abc"] * 3))}, NOW - 7000)
        for percent in (1, 40, 89):
            filled = len(data) * percent // 100
            for end in (b"", bytes(len(data) - filled)):
                place.files.pop("base/one/base.tar" if name == "base" else "", None)
                place.put({f"base/one/{name}{kind}": data[:filled] + end}, NOW - 7000)

                assert ((await backup_in(place)).problem or ("", ""))[0] in {"truncated", "format"}, (percent, end[:1])


async def test_read_folder_without_anything_is_no_backup() -> None:
    look = look_at(MemoryPlace(), "base/one/", "basebackup")

    assert (await basebackup.read(look)).backups == []


async def test_read_files_instead_of_folders_are_unsupported() -> None:
    with pytest.raises(QueryError, match="must choose folders") as caught:
        await basebackup.read(look_at(MemoryPlace(), "base/*.tar", "basebackup"))

    assert caught.value.reason == "unsupported"


async def test_read_globs_list_only_folders_on_the_way() -> None:
    place = place_with(manifest())
    place.files |= {f"other/{number}/x": MemoryFile() for number in range(50)}
    place.put({f"base/z{number}/{name}": file for number in range(3) for name, file in {"a/b/c": b""}.items()})

    found = (await basebackup.read(look_at(place, "b*/on?/", "basebackup"))).backups

    assert [backup.name for backup in found] == ["base/one"]
    assert not [name for _, name in place.asked if name.startswith("other")]


async def test_read_backups_deep_in_a_place_keep_their_whole_names() -> None:
    """A copy is compared by names: what is cut off of them could not be missed."""
    folder = "x" * 150
    place = MemoryPlace()
    for day in ("monday", "tuesday"):
        place.put({f"{folder}/{day}/{path}": b"abc" for path in FILES}, NOW - 7000)
        place.put({f"{folder}/{day}/backup_manifest": manifest()}, NOW - 7000)

    found = await basebackup.read(look_at(place, f"{folder}/*/", "basebackup"))

    assert {backup.name for backup in found.backups} == {f"{folder}/monday", f"{folder}/tuesday"}
