"""What a hostile or broken backup.info of pgBackRest is taken for; other tests try the tool itself."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats.base_backups import pgbackrest
from exporter.errors import QueryError
from tests.support.backup_looks import NOW, look_at, problems
from tests.support.memory_place import MemoryFile, MemoryPlace

FULL, DIFF, INCR = "20270114-010000F", "20270114-010000F_20270114-020000D", "20270114-010000F_20270114-030000I"
FOLDER = "backup/demo/"
STOP = int(NOW) - 3600


def described(**keys: object) -> dict[str, object]:
    return {
        "backup-archive-start": "000000010000000000000002",
        "backup-error": False,
        "backup-info-repo-size": 4000,
        "backup-info-repo-size-delta": 4000,
        "backup-timestamp-start": STOP - 60,
        "backup-timestamp-stop": STOP,
        "db-id": 1,
    } | keys


def info(backups: Mapping[str, object]) -> bytes:
    """Write a file as pgBackRest does, with its checksum."""
    sections = {
        "backrest": {"backrest-format": 5, "backrest-version": "2.45"},
        "backup:current": backups,
        "db": {"db-id": 1, "db-version": "15"},
        "db:history": {"1": {"db-version": "15"}},
    }
    compact = {
        section: {key: json.dumps(value, separators=(",", ":")) for key, value in keys.items()}
        for section, keys in sections.items()
        if keys
    }
    inner = ("{" + ",".join(f'"{key}":{value}' for key, value in keys.items()) + "}" for keys in compact.values())
    text = "{" + ",".join(f'"{section}":{one}' for section, one in zip(compact, inner, strict=True)) + "}"
    digest = hashlib.sha1(text.encode()).hexdigest()
    lines = [line for section, keys in compact.items() for line in _section(section, keys)]
    return "\n".join([*lines, "[backrest]", f'backrest-checksum="{digest}"', ""]).encode()


def _section(name: str, keys: Mapping[str, str]) -> list[str]:
    return [f"[{name}]", *(f"{key}={value}" for key, value in keys.items()), ""]


def place_with(content: bytes, *labels: str) -> MemoryPlace:
    place = MemoryPlace({f"{FOLDER}{label}/backup.manifest": MemoryFile(b"x" * 9, STOP) for label in labels})
    place.put({f"{FOLDER}backup.info": content})
    return place


async def backups_in(place: MemoryPlace, **parts: Any) -> dict[str, Backup]:
    return {one.name: one for one in (await pgbackrest.read(look_at(place, FOLDER, "pgbackrest", **parts))).backups}


async def test_read_backup_tells_when_it_ended_and_how_long_it_took() -> None:
    found = await backups_in(place_with(info({FULL: described()}), FULL))

    assert found == {FULL: Backup(FULL, STOP, 4000, seconds=60, start_segment="15-1/000000010000000000000002")}


async def test_read_backup_with_bad_pages_is_a_checksum() -> None:
    found = await backups_in(place_with(info({FULL: described(**{"backup-error": True})}), FULL))

    assert found[FULL].problem == Problem(
        "checksum", "pages of the database did not match their checksums when it was made"
    )


async def test_read_sizes_of_incremental_blocks_are_added_up() -> None:
    """Where blocks are incremental, pgBackRest does not tell what the whole takes."""
    own = described(**{"backup-info-repo-size": None, "backup-info-repo-size-delta": 10, "backup-prior": FULL})
    chain = {FULL: described(), DIFF: own, INCR: own | {"backup-prior": DIFF, "backup-reference": [FULL, DIFF]}}

    found = await backups_in(place_with(info(chain), *chain))

    assert [found[label].bytes for label in (FULL, DIFF, INCR)] == [4000, 4010, 4020]
    assert set(problems(found.values()).values()) == {None}


async def test_read_missing_reference_breaks_the_chain_through_what_is_there() -> None:
    chain = {DIFF: described(**{"backup-prior": FULL}), INCR: described(**{"backup-prior": DIFF})}

    found = await backups_in(place_with(info(chain), *chain))

    broken = Problem("broken_chain", f"it builds on {FULL}, which is not there")
    assert problems(found.values()) == {DIFF: broken, INCR: broken}


async def test_read_priors_in_a_circle_are_broken() -> None:
    chain = {DIFF: described(**{"backup-prior": INCR}), INCR: described(**{"backup-prior": DIFF})}

    found = problems((await backups_in(place_with(info(chain), *chain))).values())

    assert {problem and problem.reason for problem in found.values()} == {"broken_chain"}


@pytest.mark.parametrize(
    "keys",
    [
        {"backup-timestamp-stop": None},
        {"backup-timestamp-stop": "x", "backup-timestamp-start": {}},
        {"backup-timestamp-stop": -1},
        {"backup-timestamp-stop": 10**200},
    ],
)
async def test_read_backup_without_an_end_is_a_format(keys: Mapping[str, object]) -> None:
    found = (await backups_in(place_with(info({FULL: described(**keys)}), FULL)))[FULL]

    assert found.problem is not None
    assert found.problem.reason == "format"


@pytest.mark.parametrize(
    "keys",
    [
        {"backup-prior": 7, "backup-reference": "x"},
        {"backup-reference": [None, 1, [], {}]},
        {"backup-info-repo-size": "x", "backup-info-repo-size-delta": []},
        {"backup-archive-start": "../../etc/passwd"},
        {"backup-archive-start": None, "db-id": "x"},
        {"backup-timestamp-start": STOP + 100},
    ],
)
async def test_read_backup_with_odd_values_is_good_without_them(keys: Mapping[str, object]) -> None:
    found = (await backups_in(place_with(info({FULL: described(**keys)}), FULL)))[FULL]

    assert found.problem is None
    assert found.seconds is None or found.seconds == 60


async def test_read_backup_of_the_future_is_a_clock() -> None:
    late = described(**{"backup-timestamp-stop": STOP + 90_000})

    found = (await backups_in(place_with(info({FULL: late}), FULL)))[FULL]

    assert found.problem is not None
    assert (found.problem.reason, found.time) == ("clock", NOW)


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "changed": lambda content: content.replace(b"4000", b"4001"),
    "cut": lambda content: content[:-30],
    "longer": lambda content: content + b"[db]\nx=1\n",
    "a long key": lambda content: content.replace(b"current]\n", b"current]\n" + b"x" * 100_000 + b"={\n"),
    "a bomb": lambda content: content.replace(b"current]\n", b"current]\nx=" + b"[" * 500_000 + b"\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_read_info_that_was_changed_is_a_checksum(damage: str) -> None:
    found = await backups_in(place_with(DAMAGES[damage](info({FULL: described()})), FULL))

    assert found[FULL].problem == Problem("checksum", "backup.info and its copy do not match their checksums")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 5000, b"\xff" * 5000, b"=\n" * 100_000, b"[x]\n" * 100_000],
    ids=["empty", "zeros", "no text", "no keys", "no values"],
)
async def test_read_garbage_knows_no_complete_backup(content: bytes) -> None:
    found = await backups_in(place_with(content, FULL))

    assert found[FULL].problem == Problem("truncated", "it was never finished: backup.info does not list it")


async def test_read_info_larger_than_its_bound_is_a_limit() -> None:
    with pytest.raises(QueryError, match="larger than") as caught:
        await backups_in(place_with(b"x" * (8 * 2**20 + 1), FULL))

    assert caught.value.reason == "limit"


async def test_read_many_backups_asks_little() -> None:
    chain = {f"2020{number:04d}-010000F": described() for number in range(500)}
    place = place_with(info(chain), *chain)

    assert len(await backups_in(place)) == 500
    assert len(place.asked) < 30


async def test_read_stanza_without_backups_has_none() -> None:
    assert await backups_in(place_with(info({}))) == {}
    assert await backups_in(MemoryPlace()) == {}


async def test_read_names_of_backups_are_shown_safely() -> None:
    name = "x\n" * 1000

    [found] = (await backups_in(place_with(info({"x": described(), name: described()})))).keys() - {"x"}

    assert "\n" not in found
    assert len(found) <= 200
