"""What Neo4j's datastore does without a server: URLs, rows, a pass."""

import asyncio
from functools import partial
from typing import Any

import pytest

from exporter.config.stores.neo4j import Neo4jTarget
from exporter.config.targets import Globs
from exporter.datastores.neo4j.connection import driver_url
from exporter.datastores.neo4j.datastore import Neo4jDatastore, unwind_rows
from exporter.datastores.neo4j.operations import OPERATIONS
from exporter.errors import QueryError
from exporter.polling.execution import within_deadline
from exporter.queries.conditions import ServerInfo
from exporter.queries.query import Row
from exporter.settings import read_queries


def target(url: str, **extra: Any) -> Neo4jTarget:
    return Neo4jTarget.model_validate({"name": "graph", "store": "neo4j", "url": url, **extra})


class HangingServer(Neo4jDatastore):
    """Note each statement, and never return."""

    def __init__(self) -> None:
        super().__init__(target("bolt://graph"))
        self.statements: list[str] = []

    @property
    def info(self) -> ServerInfo:
        return ServerInfo("5.26.31")

    async def run(self, text: str, *_: object) -> list[Row]:
        self.statements.append(text)
        return await asyncio.Future()


def test_driver_url_has_no_tls() -> None:
    """The driver rejects a TLS context beside a scheme of TLS."""
    assert driver_url(target("neo4j+s://graph:7687")) == "neo4j://graph:7687"
    assert driver_url(target("bolt+ssc://graph")) == "bolt://graph"


def test_column_rows_is_replaced_by_its_rows() -> None:
    """A list of maps in the column `rows` stands for rows that share the other columns."""
    rows: list[Row] = [{"type": "RANGE", "rows": [{"state": "ONLINE", "n": 2}, {"state": "FAILED", "n": 0}]}, {"n": 1}]

    assert list(unwind_rows(rows)) == [
        {"type": "RANGE", "state": "ONLINE", "n": 2},
        {"type": "RANGE", "state": "FAILED", "n": 0},
        {"n": 1},
    ]


async def test_statement_that_hangs_runs_once_a_pass() -> None:
    """The queries that share its rows do not wait for it again; the next pass runs it again."""
    server = HangingServer()
    queries = [q for q in read_queries(["neo4j"]) if q.operation and "databases" in OPERATIONS[q.operation].reads]
    reasons: list[str] = []
    for _ in range(2):
        async with server.session("fast") as session:
            for query in queries:
                with pytest.raises(QueryError) as failed:
                    await within_deadline(partial(session.fetch, query), 0.05, server.reason)
                reasons.append(failed.value.reason)

    assert len(queries) == 4
    assert reasons == ["timeout"] * 8
    assert len(server.statements) == 2


def test_globs_choose_databases() -> None:
    """Databases that are included and not excluded are visited."""
    names = ["neo4j", "orders", "orders-test"]

    assert list(filter(Globs().matches, names)) == names
    assert list(filter(Globs(include=("orders*",), exclude=("*-test",)).matches, names)) == ["orders"]
