"""What docs/how-to/postgresql.md promises of the role and its grants is so on real servers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import Collected, collect
from tests.support.paths import DOCS

PAGE = (DOCS / "how-to/postgresql.md").read_text(encoding="utf-8")
ROLE, EXTENSIONS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
PASSWORD = "a long random password"
GRANTS = re.findall(r"^\| `(GRANT .*?)` \| (.*?) \|$", PAGE, re.MULTILINE)
LOST = [
    (grant, re.findall(r"`(pg_\w+(?:_seconds|_bytes|_ratio|_segments|_files|_used|_errors))`", text))
    for grant, text in GRANTS
]


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        for database in ("postgres", "app"):
            server.psql(EXTENSIONS, database)
        server.psql("REVOKE CONNECT ON DATABASE app FROM PUBLIC")
        yield server


def target(server: Postgres, user: str, **extra: object) -> dict[str, Any]:
    settings: dict[str, Any] = server.target("db", password=PASSWORD, **extra)
    return settings | {"url": settings["url"].replace("monitor@", f"{user}@")}


@pytest.mark.parametrize("version", ["14", "15", "16", "17", "18"])
async def test_the_block_of_sql_is_all_that_the_role_needs(servers: Servers, version: str) -> None:
    with servers.private_postgres(version) as server:
        server.psql("DROP ROLE monitor")
        for statement in ROLE.strip().split(";\n"):
            server.psql(statement)
        collected = await collect(target(server, "monitor"))

    assert collected.info.missing_privileges == {}
    assert collected.failures == {}
    assert "statements" in collected.series


def test_grants_are_read_from_the_page() -> None:
    assert len(LOST) == 7
    assert sum(len(names) for _, names in LOST) >= 12


@pytest.mark.parametrize(("number", "lost"), list(enumerate(LOST)), ids=[grant for grant, _ in LOST])
async def test_a_grant_brings_what_is_lost_without_it(
    server: Postgres, number: int, lost: tuple[str, list[str]]
) -> None:
    grant, names = lost
    role = f"reader_{number}"
    server.psql(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    if "DATABASE" not in grant:
        server.psql(f"GRANT CONNECT ON DATABASE app TO {role}")
    before = await gathered(server, role)
    server.psql(grant.replace("TO monitor", f"TO {role}"))
    after = await gathered(server, role)

    assert {name for name in names if before.samples.get(name)} == set()
    assert {name for name in names if not after.samples.get(name)} == set()
    assert after.series.items() ^ before.series.items() or "pg_read_all_settings" in grant


async def gathered(server: Postgres, role: str) -> Collected:
    """Run every query, the one of the disk among them, which is asked for alone."""
    settings = target(server, role, disk_size="1TiB")
    everything, disk = await collect(settings), await collect(settings, only=["disk"])
    everything.samples |= disk.samples
    return everything
