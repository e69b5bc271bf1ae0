"""A server that keeps its sessions and refuses new logins, and a canary's true durations."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.proxy import Proxy
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.exporter_process import Exporter
from tests.support.postgres_polls import fetch, opened, poll, sql, until


@pytest.fixture
async def datastore(server: Postgres) -> AsyncIterator[PostgresDatastore]:
    """Give one whose fast lane has its connection already."""
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        yield datastore


def logins(collected: Collected) -> tuple[float, float, str]:
    """Return how the last went, how many succeeded and the outcome."""
    [durations] = collected.samples["pg_connect_seconds"].values()
    success = collected.value("pg_login_success")
    assert success is not None
    return success, durations.buckets[-1][1], collected.statuses["login"]  # type: ignore[union-attr]  # a histogram


async def test_a_login_is_timed_and_leaves_no_session(server: Postgres, datastore: PostgresDatastore) -> None:
    await poll(datastore, "login")
    collected = await poll(datastore, "login")

    assert logins(collected) == (1, 2, "pass")
    assert collected.findings["login"] == ()
    await until(
        server, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'datatier-exporter' HAVING count(*) = 1"
    )


async def test_too_many_connections_fail_new_logins_alone(server: Postgres, datastore: PostgresDatastore) -> None:
    server.psql("ALTER ROLE monitor CONNECTION LIMIT 1")
    try:
        collected = await poll(datastore, "login", "activity")
    finally:
        server.psql("ALTER ROLE monitor CONNECTION LIMIT 5")

    assert logins(collected) == (0, 0, "fail")
    assert collected.findings["login"] == ("limit",)
    assert collected.series["activity"] > 0


async def test_a_login_beside_three_lanes_makes_four_connections_and_no_more(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    one = sql("SELECT 1 AS value")
    statuses = []
    async with datastore.session("slow") as slow, datastore.session("sampler") as sampler:
        await slow.fetch(one)
        await sampler.fetch(one)
        try:
            for limit in (4, 3):
                server.psql(f"ALTER ROLE monitor CONNECTION LIMIT {limit}")
                statuses.append((await poll(datastore, "login")).statuses["login"])
        finally:
            server.psql("ALTER ROLE monitor CONNECTION LIMIT 5")

    assert statuses == ["pass", "fail"]


async def test_a_changed_password_fails_new_logins_alone(server: Postgres, datastore: PostgresDatastore) -> None:
    server.psql("ALTER ROLE monitor PASSWORD 'changed'")
    try:
        collected = await poll(datastore, "login")
    finally:
        server.psql(f"ALTER ROLE monitor PASSWORD '{server.target('db')['password']}'")
    again = await poll(datastore, "login")

    assert logins(collected) == (0, 0, "fail")
    assert collected.findings["login"] == ("auth",)
    assert logins(again) == (1, 1, "pass")


async def test_a_postmaster_that_hangs_is_a_timeout_while_its_sessions_work(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        collected = await poll(datastore, "login", "activity")
    finally:
        os.kill(server.pid, signal.SIGCONT)

    assert logins(collected) == (0, 0, "fail")
    assert collected.findings["login"] == ("timeout",)
    assert collected.series["activity"] > 0


async def test_a_refused_connection_has_its_reason(server: Postgres) -> None:
    [query] = (query for query in read_queries(["postgres"]) if query.name == "login")
    with Proxy(server.port) as proxy:
        settings = server.target("db", url=server.url.replace(str(server.port), str(proxy.port)))
        async with opened(settings) as datastore:
            await datastore.ping()
            proxy.refuse()
            [row] = await fetch(datastore, query)

    assert (row["success"], row["status"], row["refused"]) == (False, "fail", "connect")


def test_a_failed_login_shows_in_health_while_the_target_is_up(servers: Servers) -> None:
    """It says why, in a word, and not who or where."""
    with servers.private_postgres("18") as server:
        server.psql("ALTER ROLE monitor CONNECTION LIMIT 1")  # which the fast lane takes
        with Exporter([server.target("db")]) as exporter:
            exporter.wait(lambda: exporter.value("pg_login_success") == 0, "a failed login")
            up = exporter.value("pg_up")
            check = exporter.health()["checks"]["db:login"][0]

    assert up == 1
    assert (check["status"], check["output"]) == ("fail", "limit")


async def test_a_users_canary_gives_true_quantiles(servers: Servers, tmp_path: Path) -> None:
    """A histogram of how long the statement took that its user cares about, judged by its last duration."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "checkout.yaml").write_text(
        "query: SELECT pg_sleep(0.06)\n"
        "timing: true\n"
        "health: {check: checkout, metric: datatier_query_seconds, warn_above: 0.05, fail_above: 30}\n"
    )
    server = servers.postgres("18")
    with Exporter([server.target("db")], queries=[str(tmp_path)]) as exporter:
        exporter.wait(lambda: (exporter.value("datatier_query_seconds_count", query="checkout") or 0) >= 3, "3 runs")
        samples = exporter.samples()
        check = exporter.health()["checks"]["db:checkout"][0]

    buckets = {
        dict(labels)["le"]: count
        for labels, count in samples["datatier_query_seconds_bucket"].items()
        if ("query", "checkout") in labels
    }
    assert buckets["0.05"] == 0
    assert buckets["+Inf"] >= 3
    assert check["status"] == "warn"
    assert 0.06 <= check["observedValue"] < 30
