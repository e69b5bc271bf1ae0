"""A PostgreSQL that is reached through PgBouncer alone: all that is asked directly is answered there, too."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from exporter.errors import NoSessionError, QueryError
from exporter.settings import read_queries
from testkit.pgbouncer import Pgbouncer
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.collect import collect_from
from tests.support.exporter_process import Exporter, names_of
from tests.support.postgres_polls import client, fetch, opened, poll, sql

QUERIES = {query.name: query for query in read_queries(["postgres"])}


@pytest.fixture(scope="module", params=["transaction", "session"])
def bouncer(servers: Servers, server: Postgres, request: pytest.FixtureRequest) -> Iterator[Pgbouncer]:
    with servers.private_pgbouncer(server, {"pool_mode": request.param}) as bouncer:
        yield bouncer


async def test_every_query_gives_what_it_gives_directly(server: Postgres, bouncer: Pgbouncer) -> None:
    """Twice, so that nothing depends on which of the pool's connections it gets, with others in between."""
    async with (
        opened(server.target("direct")) as direct,
        opened(bouncer.server_target("pooled")) as pooled,
        client(server),  # an idle one, to be seen from both sides
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as group,
    ):
        busy = []
        for _ in range(3):
            other = await asyncpg.connect(bouncer.dsn("postgres"), statement_cache_size=0)
            stack.callback(other.terminate)
            busy.append(group.create_task(_work(other)))
        for _ in range(2):
            there, here = await poll(direct), await poll(pooled)
        for task in busy:
            task.cancel()

    assert here.unsupported == there.unsupported
    assert here.samples.keys() == there.samples.keys()
    assert {name for name, found in here.samples.items() if found} >= {
        name for name, found in there.samples.items() if found
    }
    assert here.info == there.info


async def _work(connection: asyncpg.Connection) -> None:
    while True:
        await connection.execute("BEGIN; SELECT pg_sleep(0.002); COMMIT")


async def test_the_server_ends_what_takes_long_and_waits(server: Postgres, bouncer: Pgbouncer) -> None:
    """Limits come with each transaction and leave with it, after an error, too."""
    limits = "SELECT current_setting('{}') AS value"
    slow = sql("SELECT 1 AS value FROM pg_sleep(30)", timeout="500ms")
    async with opened(bouncer.server_target("pooled")) as datastore:
        await datastore.ping()
        with pytest.raises(asyncpg.QueryCanceledError):
            await fetch(datastore, slow)
        inside = {
            name: (await fetch(datastore, sql(limits.format(name))))[0]["value"]
            for name in ("statement_timeout", "lock_timeout", "transaction_read_only", "TimeZone", "application_name")
        }
        lock = await asyncpg.connect(server.dsn("app"))
        try:
            await lock.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await fetch(datastore, sql("SELECT count(*) AS value FROM public.customers"), "app")
        finally:
            lock.terminate()
    other = await asyncpg.connect(bouncer.dsn("postgres", "monitor"), statement_cache_size=0)
    try:
        outside = await other.fetchval("SELECT current_setting('statement_timeout')")
    finally:
        await other.close()

    assert inside["statement_timeout"] == "4500ms"
    assert inside["lock_timeout"] == "250ms"
    assert inside["transaction_read_only"] == "on"
    assert inside["TimeZone"] == "UTC"
    assert inside["application_name"] == "datatier-exporter"
    assert outside == "1min"  # the role's


@pytest.fixture
def stranger(server: Postgres) -> Iterator[None]:
    server.psql("CREATE DATABASE stranger")
    yield
    server.psql("DROP DATABASE stranger WITH (FORCE)")


@pytest.mark.usefixtures("stranger")
async def test_a_database_that_the_pooler_does_not_know_is_left_out(bouncer: Pgbouncer) -> None:
    async with opened(bouncer.server_target("pooled")) as datastore:
        first = await collect_from(datastore, "postgres", ["user_tables"])
        visited = await datastore.databases()
        rows = await fetch(datastore, QUERIES["databases"])

    assert first.failures == {}
    assert first.unsupported == {"user_tables": "unsupported: PgBouncer does not know this database"}
    assert first.series["user_tables"] > 0
    assert visited == ["app", "postgres"]
    assert [row["databases"] for row in rows if row["state"] == "not_pooled"] == [1]
    assert "stranger: PgBouncer does not know it, or leads to another server with it" in QUERIES[
        "databases"
    ].findings_in(rows)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"password": "wrong"}, "auth"), ({"url": "postgresql://nobody@127.0.0.1:{port}/postgres"}, "auth"),
     ({"url": "postgresql://monitor@127.0.0.1:{port}/nowhere"}, "connect")],
)  # fmt: skip
async def test_a_login_that_is_refused_has_its_reason(bouncer: Pgbouncer, changes: dict[str, str], reason: str) -> None:
    changes = {key: value.format(port=bouncer.port) for key, value in changes.items()}
    async with opened(bouncer.server_target("pooled") | changes) as datastore:
        with pytest.raises(NoSessionError) as caught:
            await datastore.ping()

        assert datastore.reason(caught.value) == reason


async def test_a_frozen_server_behind_fails_within_the_deadline(server: Postgres, bouncer: Pgbouncer) -> None:
    async with opened(bouncer.server_target("pooled")) as datastore:
        await datastore.ping()
        tasks = asyncio.all_tasks()
        server.freeze()
        try:
            for _ in ("held", "new"):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await datastore.ping()
            await asyncio.sleep(0.1)
            left = asyncio.all_tasks() - tasks
        finally:
            server.thaw()

        assert left == set()
        assert (await datastore.ping()).role == "primary"


def test_the_service_watches_the_pooler_and_what_is_behind(bouncer: Pgbouncer) -> None:
    """Both targets at once; the pooler's death takes both down, each with a reason, and both come back."""
    with Exporter([bouncer.target("pool"), bouncer.server_target("db")]) as exporter:
        exporter.wait_up("pool", "db")
        exporter.wait(
            lambda: "pg_stat_database_xact_commit" in names_of(exporter.samples(), "db"),
            "the queries of the first polls",
        )
        failing = [query for target in exporter.health()["targets"].values() for query in target["failing_queries"]]
        exporter.wait(lambda: exporter.value("pg_login_success", target="db") == 1, "a login of its own", 90)

        assert failing == []

        bouncer.kill()
        exporter.wait(lambda: exporter.value("pg_up", target="db") == 0, "the server to be out of reach")
        exporter.wait(lambda: exporter.value("pgbouncer_up", target="pool") == 0, "the pooler to be down")
        assert exporter.value("datatier_target_failure", target="db", reason="connect") == 1
        bouncer.start()
        exporter.wait(lambda: exporter.value("pg_up", target="db") == 1, "the server to be back", 60)
        exporter.wait(lambda: exporter.value("pgbouncer_up", target="pool") == 1, "the pooler to be back", 60)

        assert exporter.stop() == 0
    assert "Traceback" not in exporter.last_log


async def test_users_queries_are_read_only_there_too(server: Postgres, bouncer: Pgbouncer) -> None:
    """Nothing stays behind in the pool's connections, which belong to others a moment later."""
    async with opened(bouncer.server_target("pooled")) as datastore:
        await datastore.ping()
        rows = await fetch(
            datastore, sql("SELECT n::float8 AS value FROM generate_series(1, 250) AS n", untrusted=True)
        )
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await fetch(
                datastore, sql("WITH gone AS (DELETE FROM customers RETURNING 1) TABLE gone", untrusted=True), "app"
            )
        with pytest.raises(QueryError, match="more than 1000 rows"):
            await fetch(datastore, sql("SELECT n AS value FROM generate_series(1, 5000) AS n", untrusted=True))
        with pytest.raises(asyncpg.QueryCanceledError):
            await fetch(datastore, sql("SELECT 1 AS value FROM pg_sleep(30)", untrusted=True, timeout="500ms"))
        after = await fetch(datastore, sql("SELECT 1::float8 AS value", untrusted=True))

    left = server.psql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
    assert [row["value"] for row in rows] == [float(n) for n in range(1, 251)]
    assert after == [{"value": 1.0}]
    assert left == [("0",)]
