"""The age of transaction ids: burnt, jumped over, frozen; and which table and database holds the oldest."""

from collections.abc import Iterator

import pytest

from testkit.machine import hand_over, run
from testkit.postgres import Postgres
from testkit.postgres_programs import fetch
from testkit.session import Servers
from tests.support.collect import Collected
from tests.support.postgres_polls import client, eventually, opened, poll

IDS_IN_A_FILE = 2**20


@pytest.fixture(scope="module")
def young(servers: Servers) -> Iterator[Postgres]:
    """Give a server that freezes at 100,000 ids, the least that it allows, and looks every second."""
    settings = {"autovacuum_freeze_max_age": "100000", "autovacuum_naptime": "1s"}
    with servers.private_postgres("18", settings) as server:
        yield server


def burn(server: Postgres, ids: int) -> None:
    server.psql(f"DO $$ BEGIN FOR n IN 1..{ids} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")


def jump(server: Postgres, next_id: int) -> None:
    """Let a stopped server go on at an id that begins a new file of commit states, which must be there."""
    server.stop()
    file = server.data / "pg_xact" / f"{next_id // IDS_IN_A_FILE:04X}"
    file.write_bytes(bytes(IDS_IN_A_FILE // 4))
    hand_over(file.parent)
    program = fetch(server.version) / "bin" / "pg_resetwal"
    run([str(program), "-x", str(next_id), str(server.data)], server.folder, {})
    server.start()


async def test_burnt_ids_show_and_autovacuum_freezes_them_in_time(young: Postgres) -> None:
    """template0 takes no connections: only the server itself can freeze it."""

    def ratio(now: Collected, datname: str = "template0") -> float:
        return now.value("pg_database_freeze_ratio", datname=datname) or 0

    async with opened(young.target("db")) as datastore:
        before = await poll(datastore, "wraparound", "wraparound_worst")
        burn(young, 60_000)
        [(age,)] = young.psql("SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'template0'")
        burnt = await poll(datastore, "wraparound", "wraparound_worst")
        burn(young, 60_000)
        frozen = await eventually(
            datastore,
            "wraparound",
            lambda now: all(ratio(now, name) < 1 for name in ("template0", "template1", "app", "postgres")),
            seconds=120,
        )

    assert ratio(before) < 0.1
    assert ratio(burnt) == pytest.approx(float(age) / 100_000, rel=0.01)  # autovacuum itself may need an id
    assert ratio(burnt) > 0.6
    assert burnt.value("pg_database_xid_age", datname="template0") == pytest.approx(float(age), rel=0.01)
    assert burnt.value("pg_database_wraparound_ratio", datname="template0") == pytest.approx(
        float(age) / 2**31, rel=0.01
    )
    assert (burnt.value("pg_wraparound_freeze_ratio") or 0) >= ratio(burnt)
    assert (burnt.value("pg_wraparound_ratio") or 0) >= float(age) / 2**31
    assert burnt.statuses == {"wraparound": "pass"}
    assert frozen.samples["pg_database_xid_age"].keys() == before.samples["pg_database_xid_age"].keys()


async def test_half_of_the_ids_warn_and_three_quarters_fail_whatever_is_left_out(servers: Servers) -> None:
    """The database that holds the server back is not watched: it is named, and has no series."""
    settings = {"autovacuum": "off", "autovacuum_freeze_max_age": "2000000000"}
    with servers.private_postgres("18", settings) as server:
        server.psql("CREATE DATABASE legacy ALLOW_CONNECTIONS false")
        target = server.target("db", databases={"exclude": ["legacy", "template*"]})
        readings = []
        for next_id in (0x48000000, 0x68000000):
            jump(server, next_id)
            for database in ("postgres", "app", "template1"):
                server.psql("VACUUM FREEZE", database)
            async with opened(target) as datastore:
                readings.append(await poll(datastore, "wraparound", "wraparound_worst"))
        [(oldest,)] = server.psql("SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'legacy'")

    half, more = readings
    assert half.statuses == {"wraparound": "warn"}
    assert half.value("pg_wraparound_ratio") == pytest.approx(0x48000000 / 2**31, abs=1e-5)
    assert more.statuses == {"wraparound": "fail"}
    assert more.value("pg_wraparound_ratio") == float(oldest) / 2**31
    assert (more.value("pg_wraparound_ratio") or 0) > 0.8
    assert more.findings["wraparound_worst"] == ("legacy",)
    assert {dict(labels)["datname"] for labels in more.samples["pg_database_wraparound_ratio"]} == {"app", "postgres"}
    assert (more.value("pg_database_wraparound_ratio", datname="app") or 0) < 1e-5


async def test_the_tables_that_hold_the_oldest_ids_have_series(servers: Servers) -> None:
    """One holds them in what it stores out of line, one is another session's own, which no autovacuum can freeze."""
    age = (
        "SELECT age(relfrozenxid) FROM pg_class WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE relname = 'held')"
    )
    with servers.private_postgres("18", {"autovacuum": "off"}) as server:
        server.psql("CREATE TABLE held (note text)", "app")
        async with client(server) as other, opened(server.target("db")) as datastore:
            await other.execute("CREATE TEMP TABLE orphan (id int)")
            burn(server, 5000)
            tables = server.psql(
                "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p'", "app"
            )
            for (table,) in tables:
                server.psql(f"VACUUM (FREEZE, PROCESS_TOAST {table != 'held'}) {table}", "app")
            collected = await poll(datastore, "table_xid_age")
            [(expected,)] = server.psql(age, "app")

    ages = {
        dict(labels)["relname"]: value
        for labels, value in collected.samples["pg_table_xid_age"].items()
        if ("datname", "app") in labels and isinstance(value, float)
    }
    assert len(ages) == 20
    assert ages.pop("held") == float(expected) > 5000
    assert ages.pop("orphan") > 5000
    assert max(ages.values()) < 5000
