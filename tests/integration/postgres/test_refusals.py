"""Logins that a server refuses though it is well: to one database, or to all lanes but the first."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.datastores.postgres import refusals
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.exporter_process import Exporter

REFUSED = ("hostile", "busy", "shut")
FATALS = re.compile(r"FATAL: .*")


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        for name in REFUSED:
            server.psql(f"CREATE DATABASE {name}")
        server.psql("ALTER DATABASE busy CONNECTION LIMIT 0")
        rules = server.data / "pg_hba.conf"
        rules.write_text("host hostile monitor all reject\n" + rules.read_text())
        server.psql("SELECT pg_reload_conf()")
        yield server


def fatals(server: Postgres) -> list[str]:
    return FATALS.findall(server.log.read_text())


def state(exporter: Exporter, name: str) -> float:
    return exporter.value("pg_databases", state=name) or 0.0


def reasons(exporter: Exporter) -> dict[str, dict[str, Any]]:
    return {reason.get("check", reason["code"]): reason for reason in exporter.health()["targets"]["db"]["reasons"]}


def test_a_database_that_refuses_us_is_tried_once_and_counted_once(server: Postgres) -> None:
    """Not once a query, and not as visited; its name and why are among the findings, and the target is degraded."""
    with Exporter([server.target("db")], "1s") as exporter:
        exporter.wait(lambda: state(exporter, "refused") == 2, "the refusals")
        server.psql("ALTER DATABASE shut ALLOW_CONNECTIONS false")
        exporter.wait(lambda: exporter.state("db") == "degraded", "the check")
        exporter.wait(lambda: state(exporter, "no_connect") == 1, "what is not to be visited")
        polls = exporter.value("datatier_polls_total") or 0
        exporter.wait(lambda: (exporter.value("datatier_polls_total") or 0) >= polls + 4, "some polls more")
        body, found = exporter.health(), json.loads(exporter.get("/findings/db").body)["databases"]
        seen = fatals(server)

        assert len(seen) <= 3, seen
        assert any("pg_hba.conf rejects connection" in line for line in seen)
        assert any("too many connections for database" in line for line in seen)
        assert {"hostile: pg_hba.conf does not let the role in", "busy: its limit of connections is reached"} <= set(
            found
        )
        assert [reason["check"] for reason in body["targets"]["db"]["reasons"]] == ["databases"]
        assert body["checks"]["db:databases"][0]["output"] == (
            "busy: its limit of connections is reached, hostile: pg_hba.conf does not let the role in"
        )
        assert body["targets"]["db"]["failing_queries"] == []
        assert state(exporter, "visited") == 2
        assert exporter.value("datatier_query_success", query="user_tables") == 1
        assert exporter.value("datatier_capability_info", capability="user_tables") is None


def test_a_role_of_one_connection_degrades_its_target(server: Postgres) -> None:
    """The fast lane has it; what the slow lane asks fails, one reason says how many, and it ends with its cause."""
    server.psql("CREATE ROLE single LOGIN PASSWORD 'single' CONNECTION LIMIT 1 IN ROLE pg_monitor")
    url = f"postgresql://single@127.0.0.1:{server.port}/postgres"
    target = {**server.target("db", databases={"include": ["app"]}), "url": url, "password": "single"}
    before = len(fatals(server))
    with Exporter([target], "1s") as exporter:
        exporter.wait(lambda: "queries" in reasons(exporter), "the failing queries to be reported")
        body = exporter.health()
        polls = exporter.value("datatier_polls_total") or 0.0
        many = {query["query"] for query in body["targets"]["db"]["failing_queries"] if query["reason"] == "limit"}
        reasons_now = reasons(exporter)

        assert {"user_tables", "index_bloat", "database_size"} <= many
        assert reasons_now.keys() == {"queries", "login"}
        assert reasons_now["queries"]["value"] == len(many) > 30
        assert f"{len(many)} queries fail" in exporter.get("/").body.decode()
        assert body["notes"] == [f"db: degraded, {len(many)} queries fail"]
        assert len(fatals(server)) - before <= polls + 3

        server.psql("ALTER ROLE single CONNECTION LIMIT 5")
        exporter.wait(lambda: "queries" not in reasons(exporter), "all to be asked again", 20)
        exporter.wait(lambda: exporter.health()["targets"]["db"]["failing_queries"] == [], "all to work", 20)
        assert exporter.value("pg_stat_user_tables_others", datname="app") is not None


def test_the_pauses_grow_and_end() -> None:
    """One login a pass, then ever fewer; once it lets us in, nothing of it is remembered."""
    known, pauses = refusals.Refusals(), []
    for _ in range(6):
        known.note("app", "why")
        pauses.append(known._known["app"].pause)  # noqa: SLF001 - too long to wait for

    assert pauses == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    assert (known.waits("app"), known.waits("other"), known.waits(None)) == (True, False, False)
    known.admit("app")
    assert known.why("app") is None
