"""PgBouncer's console: pools, counters and waits as they are, and what is seen when it fails."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg.pq import ConnStatus, PGconn

from exporter.datastores import open_datastore
from exporter.datastores.base import Datastore
from exporter.datastores.pgwire.errors import ServerError
from exporter.errors import QueryError
from exporter.queries.query import Query, Row
from exporter.settings import read_queries
from testkit.pgbouncer import Pgbouncer
from testkit.session import Servers
from tests.support.collect import Collected, collect_from, target_of
from tests.support.exporter_process import Exporter, names_of

TIGHT = {"database": "tight", "user": "postgres"}
QUERIES = {query.name: query for query in read_queries(["pgbouncer"])}
LATER = {"pgbouncer_stats_server_assignments_total", "pgbouncer_stats_client_parses_total",
         "pgbouncer_stats_server_parses_total", "pgbouncer_stats_binds_total"}  # fmt: skip


@pytest.fixture(scope="module")
def bouncer(servers: Servers) -> Iterator[Pgbouncer]:
    with servers.private_postgres("18") as server, servers.private_pgbouncer(server) as bouncer:
        yield bouncer


@pytest.fixture
async def datastore(bouncer: Pgbouncer) -> AsyncIterator[Datastore]:
    async with opened(bouncer.target("pool")) as datastore:
        yield datastore


@asynccontextmanager
async def opened(settings: dict[str, Any]) -> AsyncIterator[Datastore]:
    async with open_datastore(target_of(settings)) as datastore:
        yield datastore


async def poll(datastore: Datastore) -> Collected:
    collected = await collect_from(datastore, "pgbouncer")
    assert not collected.failures, collected.failures
    return collected


async def ask(datastore: Datastore, query: Query, lane: Any = "fast") -> Sequence[Row]:
    async with datastore.session(lane) as session:
        return await session.fetch(query)


async def client(stack: AsyncExitStack, bouncer: Pgbouncer, database: str) -> Any:
    connection = await asyncpg.connect(bouncer.dsn(database), statement_cache_size=0)
    stack.callback(connection.terminate)
    return connection


@asynccontextmanager
async def crowd(bouncer: Pgbouncer, size: int) -> AsyncIterator[None]:
    """Let so many clients sleep in a pool of one connection: all but the first wait."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        connections = [await client(stack, bouncer, "tight") for _ in range(size)]
        sleeps = [group.create_task(connection.execute("SELECT pg_sleep(600)")) for connection in connections]
        yield
        for sleep in sleeps:
            sleep.cancel()


async def eventually(datastore: Datastore, metric: str, expected: float, **labels: str) -> Collected:
    deadline = asyncio.get_running_loop().time() + 30
    while True:
        collected = await poll(datastore)
        if collected.value(metric, **labels) == expected:
            return collected
        assert asyncio.get_running_loop().time() < deadline, (
            f"{metric} is never {expected}: {collected.samples[metric]}"
        )
        await asyncio.sleep(0.1)


async def test_every_query_answers(bouncer: Pgbouncer, datastore: Datastore) -> None:
    async with AsyncExitStack() as stack:
        connection = await client(stack, bouncer, "app")
        await connection.execute("SELECT 1")
        collected = await poll(datastore)

    assert collected.info.version.startswith("1.")
    assert collected.unsupported == {}
    assert {name for name, series in collected.series.items() if not series} == {"pool_waits"}  # no look was taken
    assert {name for name, found in collected.samples.items() if not found} <= LATER | {
        "pgbouncer_pools_client_waiting_connections_peak", "pgbouncer_pools_client_maxwait_peak_seconds",
    }  # fmt: skip
    assert collected.statuses == {"connections": "pass", "paused": "pass"}
    assert collected.value("pgbouncer_config_max_client_connections") == 100
    assert collected.value("pgbouncer_clients_used_ratio") == collected.value("pgbouncer_used_clients") / 100  # type: ignore[operator]  # both are there


async def test_clients_that_wait_are_seen_and_remembered(bouncer: Pgbouncer, datastore: Datastore) -> None:
    """Three clients in a pool of one connection: two wait; a minute's maximum knows of them when they are gone."""
    waits = QUERIES["pool_waits"]
    async with crowd(bouncer, 3):
        during = await eventually(datastore, "pgbouncer_pools_client_waiting_connections", 2, **TIGHT)
        await asyncio.sleep(0.1)
        await ask(datastore, waits, "sampler")
        longest = await poll(datastore)
    after = await eventually(datastore, "pgbouncer_pools_client_waiting_connections", 0, **TIGHT)
    await ask(datastore, waits, "sampler")
    rows = await ask(datastore, waits)

    assert during.value("pgbouncer_pools_server_active_connections", **TIGHT) == 1
    assert during.value("pgbouncer_pools_used_ratio", **TIGHT) == 1
    assert during.value("datatier_saturation_ratio", resource="pool") == 1
    assert (longest.value("pgbouncer_pools_client_maxwait_seconds", **TIGHT) or 0) >= 0.1
    assert after.value("pgbouncer_pools_client_maxwait_seconds", **TIGHT) == 0
    [row] = [row for row in rows if row["database"] == "tight"]
    assert row["clients"] == 2
    assert float(str(row["seconds"])) >= 0.1


async def test_counters_move_by_what_was_done(bouncer: Pgbouncer, datastore: Datastore) -> None:
    async with AsyncExitStack() as stack:
        connection = await client(stack, bouncer, "app")
        await connection.execute("SELECT 1")
        before = await poll(datastore)
        for _ in range(5):
            await connection.execute("BEGIN; SELECT 1")
            await connection.execute("SELECT pg_sleep(0.02)")
            await connection.execute("COMMIT")
        after = await poll(datastore)

    def moved(name: str) -> float:
        return (after.value(name, database="app") or 0) - (before.value(name, database="app") or 0)

    assert moved("pgbouncer_stats_sql_transactions_pooled_total") == 5
    assert moved("pgbouncer_stats_queries_pooled_total") == 15
    assert moved("pgbouncer_stats_queries_duration_seconds_total") >= 0.1
    assert moved("pgbouncer_stats_server_in_transaction_seconds_total") >= 0.1
    assert moved("pgbouncer_stats_received_bytes_total") > 100


async def test_a_paused_database_warns(bouncer: Pgbouncer, datastore: Datastore) -> None:
    with psycopg.connect(bouncer.dsn(), autocommit=True, prepare_threshold=None) as admin:
        console = psycopg.ClientCursor(admin)
        console.execute("PAUSE app")
        try:
            paused = await poll(datastore)
        finally:
            console.execute("RESUME app")
    labels = {"name": "app", "database": "app", "force_user": "", "pool_mode": ""}

    assert paused.value("pgbouncer_databases_paused", **labels) == 1
    assert paused.statuses["paused"] == "warn"
    assert (await poll(datastore)).statuses["paused"] == "pass"


async def test_users_show_what_they_like_and_command_nothing(bouncer: Pgbouncer) -> None:
    """A query of a user's own is a SHOW; the console of an administrator would also obey PAUSE."""
    metrics = ({"name": "test_users", "type": "gauge", "help": "Users.", "value": "name"},)

    def own(text: str) -> Query:
        return Query.model_validate({"name": "own", "store": "pgbouncer", "query": text, "metrics": metrics})

    async with opened(bouncer.target("pool", url=bouncer.dsn(), password=None)) as datastore:
        users = await ask(datastore, own("show users;"))
        for text in ("PAUSE app", "SHUTDOWN", "SHOWUSERS"):
            with pytest.raises(QueryError) as caught:
                await ask(datastore, own(text))
            assert caught.value.reason == "query"
        with pytest.raises(ServerError) as unknown:
            await ask(datastore, own("SHOW NOTHING"))

        assert {"postgres", "monitor", "app"} <= {row["name"] for row in users}
        assert datastore.reason(unknown.value) == "unsupported"


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [("monitor", "wrong", "auth"), ("nobody", "wrong", "auth"), ("monitor", None, "auth"),
     ("app", "app-secret", "privilege")],
)  # fmt: skip
async def test_a_login_that_is_refused_has_its_reason(
    bouncer: Pgbouncer, user: str, password: str | None, reason: str
) -> None:
    """The console is for those in stats_users and admin_users alone."""
    url = f"postgresql://{user}@127.0.0.1:{bouncer.port}/pgbouncer"
    async with opened(bouncer.target("pool", url=url, password=password)) as datastore:
        with pytest.raises((ServerError, QueryError)) as caught:
            await datastore.ping()

        assert datastore.reason(caught.value) == reason


async def test_a_frozen_bouncer_fails_within_the_deadline(bouncer: Pgbouncer, datastore: Datastore) -> None:
    """On a held connection and at login; afterwards no task is left and all is well again."""
    await datastore.ping()
    tasks = asyncio.all_tasks()
    began = asyncio.get_running_loop().time()
    bouncer.freeze()
    try:
        for _ in ("held", "new"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await datastore.ping()
        left = asyncio.all_tasks() - tasks
        took = asyncio.get_running_loop().time() - began
    finally:
        bouncer.thaw()

    assert left == set()
    assert took < 5  # of the 10 s that a login may take
    assert (await datastore.ping()).version


async def test_a_restart_between_two_polls_is_not_noticed(bouncer: Pgbouncer, datastore: Datastore) -> None:
    await datastore.ping()
    bouncer.kill()
    bouncer.start()

    assert (await datastore.ping()).version


def test_the_service_reports_waits_and_faults(bouncer: Pgbouncer) -> None:
    """Waits show up to a minute later in metric and check; frozen and killed it is down with its reason, then back."""
    with Exporter([bouncer.target("pool")]) as exporter:
        exporter.wait_up("pool")
        before = names_of(exporter.samples(), "pool")
        asyncio.run(_wait_a_while(bouncer, exporter))
        exporter.wait(lambda: exporter.value("pgbouncer_pools_client_waiting_connections", **TIGHT) == 0, "the end")

        assert exporter.value("pgbouncer_pools_client_waiting_connections_peak", **TIGHT) == 2
        assert exporter.health()["checks"]["pool:poolWait"][0]["status"] == "warn"

        for fail, mend, reason in (
            (bouncer.freeze, bouncer.thaw, "timeout"),
            (bouncer.kill, bouncer.start, "connect"),
        ):
            fail()
            exporter.wait(lambda: exporter.value("pgbouncer_up", target="pool") == 0, f"up 0 for {reason}")
            assert exporter.value("datatier_target_failure", target="pool", reason=reason) == 1
            assert names_of(exporter.samples(), "pool") == set()
            mend()
            exporter.wait(lambda: before <= names_of(exporter.samples(), "pool"), f"all series after {reason}", 60)

        assert exporter.stop() == 0
    assert "Traceback" not in exporter.last_log


async def _wait_a_while(bouncer: Pgbouncer, exporter: Exporter) -> None:
    """Keep clients waiting until the exporter's look in between has seen one that waited for a second."""

    def seen() -> bool:
        return (exporter.value("pgbouncer_pools_client_maxwait_peak_seconds", **TIGHT) or 0) > 1

    async with crowd(bouncer, 3):
        await asyncio.to_thread(exporter.wait, seen, "the waits to be seen")


async def test_a_name_that_is_not_utf8_takes_nothing_from_the_others(bouncer: Pgbouncer, datastore: Datastore) -> None:
    """Where the pooler accepts any database, a client may bring in such a name."""
    settings = bouncer.folder / "pgbouncer.ini"
    any_database = f"[databases]\n* = host=127.0.0.1 port={bouncer.server.port} dbname=app"
    settings.write_text(settings.read_text().replace("[databases]", any_database))
    os.kill(bouncer.pid or 0, signal.SIGHUP)
    names = (b"caf\xe9", b"caf\xe8")
    logins = [bouncer.dsn(f"any?application_name={n}").encode().replace(b"any", name) for n, name in enumerate(names)]
    deadline = asyncio.get_running_loop().time() + 10
    sessions = [PGconn.connect(login) for login in logins]
    while any(session.status != ConnStatus.OK for session in sessions):  # the file is not read yet
        assert asyncio.get_running_loop().time() < deadline
        sessions = [PGconn.connect(login) for login in logins]
    collected = await poll(datastore)
    for session in sessions:
        session.finish()

    databases = {dict(labels).get("name") for labels in collected.samples["pgbouncer_databases_max_connections"]}
    assert len([name for name in databases if str(name).startswith("caf\ufffd")]) == 2
