"""Cypher that does more than read is found, and what only reads is let through."""

import time
from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.queries.cypher_text import forbidden
from exporter.settings import read_queries
from tests.support.factories import write

METRIC = "metrics: {graph_n: {type: gauge, help: Numbers., value: n}}\n"
ACTING = [
    ("TERMINATE TRANSACTIONS 'neo4j-transaction-1'", "TERMINATE TRANSACTIONS"),
    ("terminate\u2003transaction 'x'", "TERMINATE TRANSACTIONS"),
    ("SHOW TRANSACTIONS YIELD transactionId AS t TERMINATE TRANSACTIONS t", "TERMINATE TRANSACTIONS"),
    ("CYPHER planner=cost runtime=slotted TERMINATE TRANSACTIONS 'x'", "TERMINATE TRANSACTIONS"),
    ("/* a /* b */ TERMINATE TRANSACTIONS 'x'", "TERMINATE TRANSACTIONS"),
    ("// RETURN 1\rTERMINATE TRANSACTIONS 'x'", "TERMINATE TRANSACTIONS"),
    (r"// RETURN 1\u000aTERMINATE TRANSACTIONS 'x'", "TERMINATE TRANSACTIONS"),
    (r"RETURN 1 AS x // \uuu000a LO\u0041D CSV", "LOAD CSV"),
    ("LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line", "LOAD CSV"),
    ("CYPHER 25 LOAD/**/CSV WITH HEADERS FROM 'http://127.0.0.1/' AS line RETURN line", "LOAD CSV"),
    ("CALL { LOAD CSV FROM 'file:///x' AS line RETURN line } RETURN line", "LOAD CSV"),
    ('RETURN "it\'s" AS x UNION LOAD CSV FROM "file:///x" AS x RETURN x', "LOAD CSV"),
    ("CALL { MATCH (n) RETURN n } IN TRANSACTIONS RETURN n", "CALL {…} IN TRANSACTIONS"),
    (
        "MATCH (n) CALL (n) { RETURN 1 AS x } IN 2 CONCURRENT TRANSACTIONS OF 5 ROWS RETURN x",
        "CALL {…} IN TRANSACTIONS",
    ),
    (
        "UNWIND [1] AS x CALL { RETURN 1 AS y } IN 1+1+1+1+1 CONCURRENT TRANSACTIONS RETURN y",
        "CALL {…} IN TRANSACTIONS",
    ),
    ("CALL db.clearQueryCaches()", "db.clearQueryCaches"),
    ("MATCH (n) OPTIONAL CALL db . `clearQueryCaches` () YIELD value RETURN value", "db.clearQueryCaches"),
    ("CALL `db`./**/`clearQueryCaches`", "db.clearQueryCaches"),
    ("CALL db.stats.clear('QUERIES')", "db.stats.clear"),
    ("CALL db.prepareForReplanning()", "db.prepareForReplanning"),
    ("CALL db.awaitIndexes(300)", "db.awaitIndexes"),
    ("CALL dbms.killTransaction('x')", "dbms.killTransaction"),
    ("CALL dbms.killConnections(['bolt-1'])", "dbms.killConnections"),
    ("CALL dbms.setConfigValue('db.logs.query.enabled', 'off')", "dbms.setConfigValue"),
    ("CALL dbms.security.createUser('a', 'b')", "dbms.security.createUser"),
    ("CALL tx.setMetaData({app: 'another'})", "tx.setMetaData"),
    ("CALL apoc.load.json('file:///etc/passwd')", "apoc.load.json"),
    ("CALL apoc.cypher.runWrite('CREATE (n)', {})", "apoc.cypher.runWrite"),
    ("RETURN apoc.cypher.runFirstColumnMany('LOAD CSV', {}) AS x", "apoc.cypher.runFirstColumnMany"),
    ("CALL apoc.periodic.iterate('', '', {})", "apoc.periodic.iterate"),
    ("STOP DATABASE neo4j", "STOP"),
    ("START DATABASE neo4j", "START"),
    ("CREATE USER bob SET PASSWORD 'x'", "CREATE"),
    ("EXPLAIN CYPHER 5 ALTER CURRENT USER SET PASSWORD FROM 'a' TO 'b'", "ALTER"),
    ("drop database neo4j", "DROP"),
    ("MERGE (n:Node) RETURN n", "MERGE"),
]
READING = [
    "MATCH (n) WHERE n.at < 5 RETURN count(n) AS n",
    "CYPHER runtime=slotted MATCH (n) RETURN 1 AS x",
    "RETURN 'TERMINATE TRANSACTIONS' AS x, \"LOAD CSV\" AS y // LOAD CSV",
    "RETURN 'a\\'b LOAD CSV ' AS x",
    "MATCH (load:`LOAD CSV` {terminate: 1}) RETURN load.csv AS csv /* TERMINATE TRANSACTIONS */",
    "WITH [1] AS transactions UNWIND [1] AS id WITH id, transactions WHERE id IN transactions RETURN id",
    "MATCH (set:Set {create: 1}) RETURN set.delete AS n",
    "MATCH (apoc:Plugin) RETURN apoc.load AS n, count(*) AS db",
    "CALL dbms.queryJmx('java.lang:*') YIELD attributes RETURN 1 AS n",
    "CALL db.stats.retrieve('GRAPH COUNTS') YIELD data RETURN 1 AS n",
    "SHOW TRANSACTIONS YIELD database RETURN count(*) AS n",
    "CALL apoc.meta.stats() YIELD nodeCount RETURN apoc.convert.toInteger(nodeCount) AS n",
    "CALL gds.graph.list() YIELD graphName RETURN count(*) AS n",
    "CALL (x) { RETURN 1 AS y } RETURN y",
    "",
]


@pytest.mark.parametrize(("text", "named"), ACTING)
def test_forbidden_names_cypher_that_does_more_than_read(text: str, named: str) -> None:
    """In whatever case, blanks, comments, quotes and escapes it comes."""
    assert forbidden(text) == named


@pytest.mark.parametrize("text", READING)
def test_forbidden_accepts_cypher_that_only_reads(text: str) -> None:
    assert forbidden(text) is None


def test_our_own_queries_only_read() -> None:
    texts = [query.query for query in read_queries(["neo4j"]) if isinstance(query.query, str)]

    assert len(texts) > 10
    assert {forbidden(text) for text in texts} == {None}


def test_the_file_and_the_line_are_named(tmp_path: Path) -> None:
    """Of one text, and of texts by version."""
    one = write(tmp_path / "neo4j" / "one.yaml", "labels: [x]\nquery: LOAD CSV FROM 'x' AS x RETURN x\n" + METRIC)
    texts = 'query:\n  "4.4": RETURN 1 AS n\n  "5": STOP DATABASE neo4j\n'
    two = write(tmp_path / "neo4j" / "two.yaml", texts + METRIC)
    with pytest.raises(ConfigError) as refused:
        read_queries(["neo4j"], [tmp_path])

    assert [problem.partition(" does")[0] for problem in refused.value.problems] == [
        f"{one}:2: query: LOAD CSV", f"{two}:3: query.5: STOP"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "piece",
    ["-", "/", "/*", "*/", "//", "'", "\\'", '"', "`", "``", "\\", "\\u", "CALL a.", "{", "IN ", "a.", "=", "CYPHER "],
)
def test_any_text_is_read_in_one_pass(piece: str) -> None:
    """However long, and whatever is never closed."""
    began = time.process_time()
    forbidden(piece * 50_000)

    assert time.process_time() - began < 5
