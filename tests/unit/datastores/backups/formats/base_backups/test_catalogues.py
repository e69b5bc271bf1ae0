"""What the formats of tools have in common: demanded encryption, and chains."""

import pytest

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.base_backups.catalogues import encryption_problem, of_chain, with_ancestors
from exporter.datastores.backups.look import Look, Memory
from tests.support.memory_place import MemoryFile, MemoryPlace


def demanding(place: MemoryPlace, *, encrypted: bool = True) -> Look:
    keys = {"name": "base", "of": "orders", "files": "x/", "format": "pgbackrest", "every": "1d"}
    return Look(place, BackupSet.model_validate(keys | {"encrypted": encrypted}), Memory(), 0, float("inf"))


@pytest.mark.parametrize(
    ("demanded", "by_tool", "by_server", "reason"),
    [
        (True, False, False, "unencrypted"),
        (True, True, False, None),
        (True, False, True, None),
        (False, False, False, None),
    ],
)
async def test_encryption_problem_is_told_where_nobody_encrypts(
    demanded: bool,  # noqa: FBT001 - a table
    by_tool: bool,  # noqa: FBT001 - a table
    by_server: bool,  # noqa: FBT001 - a table
    reason: str | None,
) -> None:
    place = MemoryPlace({"x/info": MemoryFile(encrypted=by_server)})

    problem = await encryption_problem(demanding(place, encrypted=demanded), "x/info", encrypted=by_tool)

    assert (problem and problem.reason) == reason


def test_of_chain_finds_what_is_missing_or_bad_however_far_away() -> None:
    needs = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "gone"], "e": ["e"]}
    bad = {"a": Problem("checksum", "")}

    chains = {name: of_chain(name, needs, bad) for name in needs}

    assert chains == {
        "a": None,
        "b": Problem("broken_chain", "it builds on a, which is rejected: checksum"),
        "c": Problem("broken_chain", "it builds on a, which is rejected: checksum"),
        "d": Problem("broken_chain", "it builds on gone, which is not there"),
        "e": None,
    }


def test_with_ancestors_counts_each_once() -> None:
    needs = {"a": ["c"], "b": ["a"], "c": ["b", "a", "gone"]}

    assert with_ancestors("c", needs, {"a": 1, "b": 10, "c": 100}) == 111
