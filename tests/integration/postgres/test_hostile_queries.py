"""Users' queries that are hostile or clumsy: each fails with its reason, and costs no other query anything."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.datastores.postgres.operations.registry import RatioParams
from exporter.errors import QueryError, Reason
from exporter.polling.execution import within_deadline
from exporter.queries.query import Query
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.exporter_process import Exporter, names_of
from tests.support.factories import write
from tests.support.hostile_queries import CLUMSY, END_THE_SLEEPER, FOREVER, HOSTILE, POISON, SCENE
from tests.support.postgres_polls import client, fetch, opened, sql, until

GOOD = "SELECT 'a' AS name, count(*)::float8 AS value FROM pg_database"


@pytest.fixture(scope="module")
def server(servers: Servers) -> Iterator[Postgres]:
    with servers.private_postgres("18") as server:
        server.psql(SCENE)
        server.psql("GRANT SELECT ON orders TO monitor", "app")
        yield server


@pytest.fixture
async def datastore(server: Postgres) -> AsyncIterator[PostgresDatastore]:
    async with opened(server.target("victim")) as datastore:
        await datastore.ping()
        yield datastore


def untrusted(text: str, **options: Any) -> Query:
    return sql(text, labels=("name",), untrusted=True, **options)


async def reason(datastore: PostgresDatastore, query: Query) -> Reason | None:
    try:
        query.samples(await fetch(datastore, query))
    except Exception as error:  # noqa: BLE001 - what the poller does
        return datastore.reason(error)
    return None


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_query_fails_with_its_reason_and_changes_nothing(
    server: Postgres, datastore: PostgresDatastore, name: str
) -> None:
    text, expected = HOSTILE[name]
    before = server.psql("SELECT last_value, is_called FROM tickets")

    assert await reason(datastore, untrusted(text, timeout="1s" if name == "sleep" else "5s")) == expected
    assert server.psql("SELECT count(*) FROM journal") == [("0",)]
    assert server.psql("SELECT last_value, is_called FROM tickets") == before
    assert server.psql("SELECT count(*) FROM pg_class WHERE relname = 'mine'") == [("0",)]


async def test_the_connection_is_afterwards_as_before(server: Postgres, datastore: PostgresDatastore) -> None:
    """No lock, no setting, no transaction stays, and statements prepared for others are still known."""
    settings = sql(
        "SELECT current_setting('default_transaction_read_only') AS setting, pg_backend_pid() AS value", untrusted=True
    )
    async with datastore.session("fast") as session:
        [before] = await session.fetch(settings)
        for text in (
            "SELECT set_config('default_transaction_read_only', 'off', false) AS name, 1 AS value",
            "SELECT 'a' AS name, 1 AS value, pg_advisory_lock(7)",
        ):
            await session.fetch(untrusted(text))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await session.fetch(untrusted("SELECT pg_advisory_lock(8) AS name, 1 / (random() * 0)::int AS value"))
        [after] = await session.fetch(settings)
        held = server.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        states = server.psql(f"SELECT state FROM pg_stat_activity WHERE pid = {after['value']}")

    assert (after["setting"], after["value"]) == ("on", before["value"])
    assert held == [("0",)]
    assert states == [("idle",)]


async def test_session_state_left_by_a_function_affects_no_built_in_query(
    server: Postgres, datastore: PostgresDatastore
) -> None:
    """A prepared statement outlives ROLLBACK: under a name of the driver's it would run in the place of ours."""
    server.psql(POISON)
    ours = sql("SELECT current_setting('search_path') AS path, 'ours' AS name, 1::float8 AS value")
    async with datastore.session("fast") as session:
        await session.fetch(ours)
        [poisoned] = await session.fetch(untrusted("SELECT 'a' AS name, poison() AS value"))
        found = [dict(row) for row in [*await session.fetch(ours), *await session.fetch(ours)]]
        pids = {
            (await session.fetch(sql("SELECT pg_backend_pid() AS value", untrusted=users)))[0]["value"]
            for users in (True, False)
        }

    assert poisoned["value"] == 400
    assert found == [{"path": "pg_catalog, pg_temp", "name": "ours", "value": 1.0}] * 2
    assert len(pids) == 2


@pytest.mark.parametrize("pooled", [False, True])
async def test_function_that_catches_its_cancellation_is_ended(
    servers: Servers,
    server: Postgres,
    pooled: bool,  # noqa: FBT001
) -> None:
    """Each would hold one of the role's few connections for ever."""
    server.psql(FOREVER)
    forever = untrusted("SELECT 'a' AS name, forever() AS value", timeout="100ms")
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%forever()%' AND pid <> pg_backend_pid()"
    with servers.private_pgbouncer(server) as bouncer:
        async with opened(bouncer.server_target("db") if pooled else server.target("db")) as datastore:
            await datastore.ping()
            for ended_by_a_ping in (True, False):
                with pytest.raises(QueryError, match="no answer"):
                    await within_deadline(lambda: fetch(datastore, forever), 0.6, datastore.reason)
                assert server.psql(running) == [("1",)]
                if ended_by_a_ping:
                    await datastore.ping()
                    await until(server, f"SELECT 1 FROM ({running}) AS r (n) WHERE n = 0")
                    assert await reason(datastore, untrusted(GOOD)) is None
        await until(server, f"SELECT 1 FROM ({running}) AS r (n) WHERE n = 0")
    server.psql("DROP FUNCTION forever")


async def test_a_statement_given_to_an_operation_is_as_untrusted(datastore: PostgresDatastore) -> None:
    metrics = ({"name": "test_ratio", "type": "gauge", "help": "A ratio.", "value": "ratio"},)
    path = "SELECT current_setting('search_path') AS path, 1::float8 AS part, 0::float8 AS rest"
    asked = {
        text: Query.model_validate(
            {"name": "test", "store": "postgres", "operation": "interval_ratio", "untrusted": True, "metrics": metrics,
             "params": RatioParams(sql=text, part="part", rest="rest")}
        )
        for text in (path, "INSERT INTO journal VALUES ('x')")
    }  # fmt: skip
    good, bad = asked.values()

    assert [row["path"] for row in await fetch(datastore, good)] == ['"$user", public']
    assert await reason(datastore, bad) == "query"


async def test_users_find_the_search_path_that_they_know(datastore: PostgresDatastore) -> None:
    [path] = await fetch(datastore, untrusted("SELECT current_setting('search_path') AS name, 1 AS value"))

    assert path["name"] == '"$user", public'


async def test_a_missing_table_is_no_failure_where_databases_are_visited(
    datastore: PostgresDatastore,
) -> None:
    """The URL's database has no orders, app has; of a built-in query the same is an error."""
    text = "SELECT 'a' AS name, count(*)::float8 AS value FROM orders"
    everywhere = untrusted(text, scope="database")

    assert [row["value"] for row in await fetch(datastore, everywhere, "app")] == [2000]
    for missing in (text, "SELECT value FROM nowhere.orders", "SELECT nowhere() AS value"):
        with pytest.raises(QueryError) as caught:
            await fetch(datastore, untrusted(missing, scope="database"), "postgres")
        assert caught.value.reason == "unsupported"
    with pytest.raises(asyncpg.UndefinedTableError):
        await fetch(datastore, untrusted(text))
    with pytest.raises(asyncpg.UndefinedTableError):
        await fetch(datastore, sql(text, scope="database"), "postgres")


async def test_positions_in_the_wal_are_texts(datastore: PostgresDatastore) -> None:
    text = "SELECT pg_lsn '16/B374D848' AS name, NULL::pg_lsn AS none, 1 AS value"

    assert await fetch(datastore, untrusted(text)) == [{"name": "16/B374D848", "none": None, "value": 1}]


async def test_a_session_that_is_ended_meanwhile_is_opened_anew(server: Postgres, datastore: PostgresDatastore) -> None:
    sleeping = asyncio.create_task(
        reason(datastore, untrusted("SELECT 'a' AS name, 1 AS value FROM pg_sleep(30)", timeout="30s"))
    )
    async with client(server) as superuser:
        await superuser.execute(END_THE_SLEEPER)

    assert await sleeping == "connect"
    assert await reason(datastore, untrusted(GOOD)) is None


def test_all_of_them_cost_no_other_query_anything(server: Postgres, tmp_path: Path) -> None:
    """Beside all of them at once a good query, and every built-in one, is on the page, poll after poll."""
    asked = {name: text for name, (text, _) in (HOSTILE | CLUMSY).items()} | {"good": GOOD}
    failing = {name: expected for name, (_, expected) in HOSTILE.items()}
    for name, text in asked.items():
        metric = '{type: gauge, help: "A value.", value: value}'
        write(
            tmp_path / f"postgres/{name}.yaml",
            f"query: {json.dumps(text)}\nlabels: [name]\nmetrics:\n  users_{name}: {metric}\n",
        )
    with Exporter([server.target("victim")], "2s") as exporter:
        exporter.wait_up("victim")
        exporter.wait(lambda: "pg_stat_user_tables_n_live_tup" in exporter.samples(), "the slow lane's series", 60)
        built_in = {name for name in names_of(exporter.samples(), "victim") if not name.endswith("_hit_ratio")}
    with Exporter([server.target("victim")], "2s", queries=[str(tmp_path)]) as exporter:
        exporter.wait_up("victim")
        exporter.wait(lambda: asked.keys() <= _asked(exporter), "all queries to be asked", 120)
        exporter.wait(lambda: built_in <= names_of(exporter.samples(), "victim"), "all built-in series", 60)
        polls = exporter.value("datatier_polls_total", target="victim") or 0
        exporter.wait(lambda: (exporter.value("datatier_polls_total", target="victim") or 0) >= polls + 4, "polls", 60)
        exporter.wait(lambda: _failing(exporter) == failing, "each to fail with its reason", 60)
        samples, text = exporter.samples(), exporter.text()
        memory = _resident_megabytes(exporter.pid)
        [(connections,)] = server.psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'monitor'")

    assert built_in <= names_of(samples, "victim")
    assert exporter.last_log.count("Traceback") == 0
    assert r"\\x1b[2J\\x07" in exporter.last_log
    assert exporter.last_log.replace("\n", "").isprintable()
    assert {name for name in samples if name.startswith("users_")} == {f"users_{name}" for name in [*CLUMSY, "good"]}
    assert 'users_good{target="victim",name="a"}' in text
    for name, (_, value) in CLUMSY.items():
        [line] = [line for line in text.splitlines() if line.startswith(f"users_{name}{{")]
        assert line.endswith(f" {value}")
    assert memory < 500
    assert int(connections) <= 4


def test_a_superuser_is_warned_about_once(server: Postgres) -> None:
    target = server.target("victim") | {"url": server.dsn(), "password": None}
    with Exporter([target], "1s") as exporter:
        exporter.wait_up("victim")
        exporter.wait(lambda: (exporter.value("datatier_polls_total", target="victim") or 0) >= 3, "some polls")
    with Exporter([server.target("victim")], "1s") as other:
        other.wait_up("victim")

    assert exporter.last_log.count("superuser") == 1
    assert other.last_log.count("superuser") == 0


def _asked(exporter: Exporter) -> set[str]:
    return {dict(labels)["query"] for labels in exporter.samples().get("datatier_query_success", {})}


def _failing(exporter: Exporter) -> dict[str, str]:
    return {query["query"]: query["reason"] for query in exporter.health()["targets"]["victim"]["failing_queries"]}


def _resident_megabytes(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
