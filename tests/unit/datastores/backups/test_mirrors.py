import time
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Backup, Copy
from exporter.datastores.backups import mirrors
from exporter.datastores.backups.look import Found, Look, Memory, UnfinishedError
from exporter.datastores.backups.mirrors import Expected, Side, compare, mirror
from exporter.datastores.backups.places.place import Page
from exporter.errors import QueryError
from tests.support.memory_place import MemoryFile, MemoryPlace

NOW = 1_796_000_000.0
GRACE = 4 * 3600.0
OLD = NOW - 86400.0
ODD = ["a b", "a+b", "a%2Fb", "a&b=c", "ä/ö", "\N{GRINNING FACE}", "a\nb", "a/../b", "a.b", "a/b", "a", "//", "z" * 900]


def look(place: MemoryPlace, memory: Memory | None = None, seconds: float = 60.0) -> Look:
    chosen = BackupSet.model_validate(
        {"name": "mirror", "of": "objects", "files": "documents/", "every": "2h", "copy_of": "objects/documents"}
    )
    return Look(place, chosen, memory or Memory(), NOW, time.monotonic() + seconds)


async def mirrored(
    original: Mapping[str, MemoryFile], copy: Mapping[str, MemoryFile], memory: Memory | None = None
) -> Found:
    here = MemoryPlace({f"documents/{name}": file for name, file in copy.items()} | {"other": MemoryFile()})
    return await mirror(look(here, memory), Side(MemoryPlace(dict(original)), "", "objects/documents"), GRACE)


def files(*names: str, modified: float = OLD) -> dict[str, MemoryFile]:
    return {name: MemoryFile(b"12345", modified) for name in names}


async def test_mirror_with_everything_is_a_backup_of_this_moment() -> None:
    assert await mirrored(files(*ODD), files(*ODD)) == Found(
        [Backup("documents/", NOW, 5.0 * len(ODD))], copy=Copy(0, 0.0)
    )


async def test_mirror_that_is_a_whole_place_is_compared_from_its_root() -> None:
    chosen = look(MemoryPlace()).chosen.model_copy(update={"files": "**"})
    whole = replace(look(MemoryPlace(files("a", "b/c"))), chosen=chosen)

    found = await mirror(whole, Side(MemoryPlace(files("a", "b/c")), "", "objects/documents"), GRACE)

    assert found == Found([Backup("**", NOW, 10.0)], copy=Copy(0, 0.0))


async def test_mirror_lacking_objects_is_a_backup_of_the_moment_before_them() -> None:
    original = files("a", "b") | files("c", modified=OLD - 60)

    found = await mirrored(original, files("b"))

    assert found.backups == [Backup("documents/", OLD - 60, 5.0)]
    assert found.copy == Copy(2, NOW - OLD + 60, 0, ("missing: a", "missing: c"))


async def test_mirror_object_younger_than_the_grace_need_not_be_there() -> None:
    found = await mirrored(files("a") | files("b", modified=NOW - 60), files("a"))

    assert found.copy == Copy(0, 60.0)
    assert found.backups[0].time == NOW - 60


async def test_mirror_object_of_another_size_differs() -> None:
    found = await mirrored(files("a"), {"a": MemoryFile(b"12", NOW)})

    assert found.copy == Copy(0, NOW - OLD, 1, ("differs: a has 2 of 5 bytes",))


async def test_mirror_object_overwritten_since_it_was_copied_differs() -> None:
    found = await mirrored(files("a"), files("a", modified=OLD - 3600))

    assert found.copy is not None
    assert found.copy.findings == ("differs: a is older than its original",)


async def test_mirror_object_older_by_what_clocks_may_differ_is_no_difference() -> None:
    found = await mirrored(files("a"), files("a", modified=OLD - 300))

    assert found.copy == Copy(0, 0.0)


async def test_mirror_may_have_more_than_its_original() -> None:
    found = await mirrored(files("b"), files("a", "b", "c"))

    assert found.copy == Copy(0, 0.0)
    assert found.backups[0].bytes == 15.0


async def test_mirror_marker_of_a_folder_is_no_object() -> None:
    marker = MemoryFile(b"", OLD)

    found = await mirrored(files("a/b") | {"a/": marker}, files("a/b") | {"": marker})

    assert found == Found([Backup("documents/", NOW, 5.0)], copy=Copy(0, 0.0))


async def test_mirror_that_is_empty_is_no_backup() -> None:
    assert (await mirrored(files("a"), {})).backups == []


async def test_mirror_of_an_empty_bucket_is_complete() -> None:
    assert await mirrored({}, {}) == Found([Backup("documents/", NOW, 0.0)], copy=Copy(0, 0.0))


async def test_mirror_names_a_few_of_many() -> None:
    copy = (await mirrored(files(*map(str, range(100)), "x\n" * 3000), {})).copy

    assert copy is not None
    assert copy.missing == 101
    assert copy.findings[-1] == "and 96 more are missing or differ"
    assert len(copy.findings) == 6
    assert all(len(finding) < 250 and finding.isprintable() for finding in copy.findings)


@given(st.integers(0, 2**32), st.integers(1, 7))
async def test_compare_page_by_page_finds_what_a_set_would(seed: int, size: int) -> None:
    random = Random(seed)
    names = sorted(
        random.sample(ODD, random.randrange(len(ODD))) + [str(number) for number in range(random.randrange(30))]
    )
    original, copy = ({name for name in names if random.random() < 0.8} for _ in range(2))
    walk = await compare(
        look(Paged(files(*copy), size)),
        Side(Paged(files(*original), size + 1), "", "o"),
        Side(Paged(files(*copy), size), "", "c"),
        Expected(GRACE),
    )

    assert walk.missing == len(original - copy)
    assert (walk.originals, walk.copies) == (len(original), len(copy))


class Paged(MemoryPlace):
    """A place with small pages, such as S3's of 1,000."""

    def __init__(self, files: dict[str, MemoryFile], size: int) -> None:
        super().__init__(files)
        self._size = size

    async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
        return await super().list(prefix, deep=deep, after=after, most=min(most, self._size))


async def test_compare_out_of_time_goes_on_from_there() -> None:
    names = [f"{number:03}" for number in range(100)]
    original, here, memory = Paged(files(*names), 10), Paged(files(*names[:-1]), 7), Memory()
    looks = 0
    while True:
        looks += 1
        try:
            walk = await compare(look(here, memory, 0.0), Side(original, "", "o"), Side(here, "", "c"), Expected(GRACE))
            break
        except UnfinishedError:
            continue

    assert looks > 10
    assert (walk.originals, walk.copies, walk.missing, walk.findings) == (100, 99, 1, ["missing: 099"])
    assert memory.progress is None


async def test_compare_more_entries_than_the_budget_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "MOST_ENTRIES", 9)
    memory = Memory()

    with pytest.raises(QueryError, match="more than 9 files in objects/documents: too many to compare") as caught:
        await mirrored(files(*map(str, range(10))), {}, memory)
    assert caught.value.reason == "limit"


@pytest.mark.parametrize("names", [["b", "a"], ["a", "a"]])
async def test_compare_listing_out_of_order_is_no_result(names: list[str]) -> None:
    class Disorderly(MemoryPlace):
        async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:
            page = await super().list(prefix, deep=deep, after=after, most=most)
            return page._replace(entries=[page.entries[0]._replace(name=name) for name in names])

    with pytest.raises(QueryError, match="not in order") as caught:
        await mirror(look(MemoryPlace()), Side(Disorderly(files("a")), "", "objects/documents"), GRACE)
    assert caught.value.reason == "decode"


async def test_mirror_original_that_cannot_be_read_is_named() -> None:
    original = MemoryPlace(failing=QueryError("connect", "refused"))

    with pytest.raises(QueryError, match=r"^the original objects/documents cannot be read: refused$") as caught:
        await mirror(look(MemoryPlace()), Side(original, "", "objects/documents"), GRACE)
    assert caught.value.reason == "connect"


async def test_compare_files_older_than_the_copy_is_kept_need_not_be_there() -> None:
    original = files("old", modified=NOW - 8 * 86400) | files("new")
    here = MemoryPlace()

    walk = await compare(
        look(here), Side(MemoryPlace(original), "", "o"), Side(here, "", "c"), Expected(GRACE, 7 * 86400)
    )

    assert walk.findings == ["missing: new"]


async def test_compare_large_listings_is_fast() -> None:
    names = [f"{number:06}" for number in range(50_000)]
    here, original = MemoryPlace(files(*names)), MemoryPlace(files(*names))
    page = await here.list("", deep=True, most=50_000)

    class Prepared(MemoryPlace):
        async def list(self, prefix: str, *, deep: bool, after: str = "", most: int = 10_000) -> Page:  # noqa: ARG002
            start = int(after) + 1 if after else 0
            return Page(page.entries[start : start + most], more=start + most < len(names))

    prepared = Prepared(original.files)
    began = time.process_time()
    walk = await compare(look(here), Side(prepared, "", "o"), Side(prepared, "", "c"), Expected(GRACE))

    assert walk.copies == 50_000
    assert time.process_time() - began < 2.0
