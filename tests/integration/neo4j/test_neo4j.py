"""Neo4j on real servers: every built-in query answers, and its numbers are the server's."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import Neo4jError

from exporter.errors import QueryError
from exporter.queries.cypher_text import forbidden
from exporter.queries.query import Query
from exporter.settings import read_queries
from testkit.neo4j import Neo4j
from testkit.session import Servers
from tests.support.collect import Collected, collect, collect_from
from tests.support.neo4j_targets import difference, each_version, opened

ENTERPRISE_ONLY = {"last_committed"}
SOMETIMES_ABSENT = {
    "neo4j_constraints",
    "neo4j_index_last_read_timestamp_seconds",
    "neo4j_index_population_ratio",
    "neo4j_transactions_oldest_timestamp_seconds",
}
ACTS = re.compile(r"(?i)await|clear|collect|create|drop|kill|prepare|refresh|resample|set|stop|upgrade")
HEAP = 512 * 1024**2  # -Xmx of the test servers
STRING_TOO_LONG_FOR_AN_INDEX = "x" * 50_000


@pytest.fixture
def server(servers: Servers, version: str) -> Neo4j:
    return servers.neo4j(version)


@contextmanager
def schema(server: Neo4j, create: str, drop: str) -> Iterator[None]:
    server.run(create)
    server.run("CALL db.awaitIndexes(30)")
    try:
        yield
    finally:
        server.run(drop)


@each_version
async def test_every_query_yields_series(server: Neo4j) -> None:
    """No query fails; each declared metric has series, but for those of states that the server is not in."""
    collected = await collect(server.target("graph"))
    queries = read_queries(["neo4j"])
    declared = {metric.name for query in queries if query.name not in ENTERPRISE_ONLY for metric in query.metrics}

    assert collected.failures == {}
    assert collected.unsupported.keys() == ENTERPRISE_ONLY
    assert declared - collected.samples.keys() <= SOMETIMES_ABSENT
    assert set(collected.statuses.values()) == {"pass"}
    assert collected.statuses.keys() == {"databases", "heap", "indexes", "replicationLag", "transactionAge"}


@each_version
async def test_ping_returns_facts_and_capabilities(server: Neo4j, version: str) -> None:
    """Version, edition, role and what it cannot do, each with its reason."""
    begun = time.time()
    async with opened(server) as datastore:
        info = await datastore.ping()

    assert info.version.startswith(version)
    assert (info.edition, info.role) == ("community", "primary")
    assert info.started_at is not None
    assert begun - 3600 < info.started_at < begun
    assert {name for name, reason in info.capabilities.items() if not reason} == {
        "index_usage",
        "jmx",
        "query_stats",
        "show_settings",
    }
    assert info.capabilities["page_cache"] == "Enterprise only"
    assert info.capabilities["apoc"] == "APOC is not installed"


@each_version
async def test_nodes_and_relationships_are_counted(server: Neo4j) -> None:
    """New nodes and relationships are in the next numbers."""
    async with opened(server) as datastore:
        before = await collect_from(datastore, "neo4j", ["counts"])
        server.run("UNWIND range(1, 7) AS i CREATE (:Counted)-[:COUNTED]->(:Counted)")
        after = await collect_from(datastore, "neo4j", ["counts"])
    server.run("MATCH (n:Counted) DETACH DELETE n")

    assert difference("neo4j_nodes", before, after) == 14
    assert difference("neo4j_relationships", before, after) == 7


@each_version
async def test_indexes_have_states(server: Neo4j) -> None:
    """A built index is online, a constraint is there; an index that cannot be built fails and warns."""
    queries = ("indexes", "index_population", "index_usage", "constraints")
    labels = {"db": "neo4j", "type": "RANGE", "entity": "NODE"}
    server.run("CREATE (:Unindexable {text: $text})", text=STRING_TOO_LONG_FOR_AN_INDEX)
    with (
        schema(server, "CREATE INDEX seen FOR (n:Seen) ON (n.id)", "DROP INDEX seen"),
        schema(server, "CREATE CONSTRAINT one FOR (n:One) REQUIRE n.id IS UNIQUE", "DROP CONSTRAINT one"),
    ):
        good = await collect(server.target("graph"), queries)
        server.run("CREATE INDEX broken FOR (n:Unindexable) ON (n.text)")
        bad = await _collect_until_failed(server, queries)
        server.run("DROP INDEX broken")
    server.run("MATCH (n:Unindexable) DELETE n")

    assert good.failures == {}
    assert good.value("neo4j_indexes", state="ONLINE", **labels) == 2
    assert good.value("neo4j_indexes", state="FAILED", **labels) == 0
    assert good.samples["neo4j_index_reads_total"]  # a new index is counted when the server next adds up
    assert [value for key, value in good.samples["neo4j_constraints"].items() if ("entity", "NODE") in key] == [1.0]
    assert good.statuses["indexes"] == "pass"
    assert bad.value("neo4j_indexes", state="FAILED", **labels) == 1
    assert bad.value("neo4j_index_population_ratio", db="neo4j", index="broken") is not None
    assert bad.statuses["indexes"] == "warn"
    assert (good.findings.get("indexes", ()), bad.findings["indexes"]) == ((), ("broken",))


async def _collect_until_failed(server: Neo4j, queries: tuple[str, ...]) -> Collected:
    for _ in range(100):
        collected = await collect(server.target("graph"), queries)
        if collected.statuses["indexes"] == "warn":
            break
        await asyncio.sleep(0.1)
    return collected


@each_version
async def test_machine_agrees_with_the_jvms_beans(server: Neo4j) -> None:
    """Heap limit, file descriptors, threads and processor time against the command line and /proc."""
    collected = await collect(server.target("graph"))
    used = collected.value("neo4j_jvm_memory_bytes", area="heap", kind="used")
    ratio = collected.value("datatier_saturation_ratio", resource="heap")
    process = _process(server)

    assert collected.value("neo4j_jvm_memory_bytes", area="heap", kind="max") == HEAP
    assert used is not None
    assert 20e6 < used < HEAP
    assert ratio == pytest.approx(used / HEAP, abs=0.3)  # two readings, and collections in between
    assert collected.value("neo4j_jvm_open_fds") == pytest.approx(process["fds"], abs=20)
    assert 10 < (collected.value("neo4j_jvm_threads", kind="live") or 0) <= process["threads"] + 5
    assert collected.value("neo4j_jvm_cpu_seconds_total") == pytest.approx(process["cpu_seconds"], rel=0.2)
    assert collected.value("neo4j_setting_bytes", setting="server.memory.pagecache.size") == 64 * 1024**2
    assert (collected.value("neo4j_connections", connector="bolt") or 0) >= 1


def _process(server: Neo4j) -> dict[str, float]:
    process = Path(f"/proc/{server.pid}")
    if not process.exists():
        pytest.skip("the server's process is not on this machine, or there is no /proc")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return {
        "fds": len(list((process / "fd").iterdir())),
        "threads": int(status["Threads"]),
        "cpu_seconds": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
    }


@each_version
async def test_databases_follow_the_globs(server: Neo4j) -> None:
    """Online standard databases are visited, system never; excluded ones have no series at all."""
    async with opened(server) as everything, opened(server, databases={"exclude": ["neo*"]}) as nothing:
        await everything.ping()
        await nothing.ping()

        assert await everything.databases() == ["neo4j"]
        assert await nothing.databases() == []
        shown, hidden = [_databases_of(await collect_from(one, "neo4j")) for one in (everything, nothing)]

    assert (shown, hidden) == ({"neo4j", "system"}, {"system"})


def _databases_of(collected: Collected) -> set[str]:
    """Return all values of the label `db`."""
    assert collected.failures == {}
    return {
        value for family in collected.samples.values() for labels in family for name, value in labels if name == "db"
    }


@each_version
async def test_users_query_of_the_server_may_need_a_graph(server: Neo4j) -> None:
    """The system database rejects most Cypher: such a query runs in the home database, and may not write."""
    async with opened(server) as datastore:
        await datastore.ping()
        async with datastore.session("fast") as session:
            rows = await session.fetch(_query("UNWIND [1, 2] AS n RETURN n"))
            with pytest.raises(Exception, match=r"(?i)write|writing") as written:
                await session.fetch(_query("CREATE (n:Written) RETURN 1 AS n"))
            with pytest.raises(Exception, match=r"no procedure|not found") as missing:
                await session.fetch(_query("CALL apoc.monitor.tx() YIELD totalTx RETURN totalTx AS n"))
            with pytest.raises(QueryError) as flood:
                await session.fetch(_query("UNWIND range(1, 100000) AS n RETURN n"))

    assert rows == [{"n": 1}, {"n": 2}]
    assert datastore.reason(written.value) == "query"
    assert datastore.reason(missing.value) == "unsupported"
    assert flood.value.reason == "limit"
    assert server.run("MATCH (n:Written) RETURN count(n) AS n") == [{"n": 0}]


@each_version
def test_procedures_that_users_may_call_only_read(server: Neo4j) -> None:
    """A session for reading would run more of them: many that act have the mode READ on the server."""
    shown = server.run("SHOW PROCEDURES YIELD name, mode WHERE mode IN ['READ', 'DBMS'] RETURN name")
    named = {str(row["name"]) for row in shown}
    let_through = {name for name in named if forbidden(f"CALL {name}()") is None}

    assert {"db.clearQueryCaches", "dbms.killConnections", "db.stats.stop"} <= named - let_through
    assert {"db.labels", "db.ping", "dbms.components", "dbms.queryJmx"} <= let_through
    assert [name for name in sorted(let_through) if ACTS.search(name)] == []


@each_version
def test_reading_sessions_change_no_user(server: Neo4j) -> None:
    """The server sees to that, where a query file does not begin with it."""
    login, change = (server.user, server.password), "ALTER CURRENT USER SET PASSWORD FROM 'neo4j-secret' TO 'another'"
    with GraphDatabase.driver(server.url, auth=login) as driver, driver.session(default_access_mode="READ") as session:
        for text in (change, "CREATE USER bob SET PASSWORD 'long-enough'", "CALL { CREATE (n:Sub) } IN TRANSACTIONS"):
            with pytest.raises(Neo4jError) as refused:
                session.run(text).consume()
            assert refused.value.code == "Neo.ClientError.Statement.AccessMode"


@each_version
async def test_wrong_password_fails_with_auth(server: Neo4j) -> None:
    """The reason is auth, and the error does not contain the password."""
    async with opened(server, password="wrong-canary") as datastore:
        with pytest.raises(Exception) as refused:  # noqa: PT011 - the driver's own, classified below
            await datastore.ping()

    assert datastore.reason(refused.value) == "auth"
    assert "wrong-canary" not in str(refused.value)


def _query(text: str) -> Query:
    return Query(name="mine", store="neo4j", query=text)
