"""What the formats of tools have in common: encryption that a set demands."""

import pytest

from exporter.config.backup_policy import BackupSet
from exporter.datastores.backups.formats.base_backups.catalogues import encryption_problem
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
