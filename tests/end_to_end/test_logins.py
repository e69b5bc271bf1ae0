"""Several targets on one server with a wrong password: one login is tried for all, and locks no user out."""

import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from testkit.neo4j import Neo4j
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.paths import ROOT

WRONG = "stale-canary"


def aliases(server: Neo4j | Postgres) -> list[dict[str, Any]]:
    """Return targets that reach one server by other names, as one user, with one wrong password."""
    urls = [server.url, *(server.url.replace("127.0.0.1", name) for name in ("localhost", "127.0.0.1", "localhost"))]
    return [server.target(f"alias-{number}", url=url, password=WRONG) for number, url in enumerate(urls)]


def refused(exporter: Exporter) -> bool:
    """Tell whether every target was tried, or spared, and says that the login is refused."""
    targets: Mapping[str, Any] = exporter.health()["targets"]
    return all(target["reasons"] == [{"code": "auth"}] for target in targets.values())


@pytest.mark.servers("neo4j:5.26")
def test_four_targets_with_a_stale_password_lock_no_user(servers: Servers) -> None:
    """Three wrong logins would keep everybody out for a while, the right password, too."""
    server = servers.neo4j("5.26")
    with Exporter(aliases(server)) as exporter:
        exporter.wait(lambda: refused(exporter), "all to be refused")

        assert server.run("RETURN 1 AS one") == [{"one": 1}]


def test_a_server_is_asked_once_for_all_its_targets(servers: Servers) -> None:
    """By whatever name; `check` does the same, and a target with another password is none of them."""
    with servers.private_postgres("18") as server:
        other = server.target("other", password="another-canary")
        with Exporter([*aliases(server), other]) as exporter:
            exporter.wait(lambda: refused(exporter), "all to be refused")

            asked = server.log.read_text().count("password authentication failed")
            subprocess.run(exporter.command("check"), cwd=ROOT, check=False, capture_output=True)

        assert asked == 2
        assert server.log.read_text().count("password authentication failed") == 2 + 2
