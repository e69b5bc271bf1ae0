"""Texts of statements: for those who asked, in one place, and nowhere else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.datastores.postgres.datastore import PostgresDatastore
from exporter.queries.loader import builtin_folder
from exporter.settings import read_queries
from testkit.postgres import Postgres
from testkit.session import Servers
from tests.support.exporter_process import Exporter
from tests.support.postgres_polls import fetch, opened, poll

SECRET = "do-not-tell"
CARD = "4111111111111111"
# A text stays as it was sent where the server does not normalise it, or forgot it between parsing and execution.
FORGOTTEN = (
    f"PREPARE p AS SELECT datname FROM pg_database WHERE oid = {CARD[:9]}; SELECT pg_stat_statements_reset(); EXECUTE p"
)
TELLING = (
    f"CREATE PROCEDURE charge(bigint) LANGUAGE sql AS 'SELECT {CARD}'",
    f"CALL charge({CARD})",
    f"DO $$ BEGIN PERFORM {CARD}; END $$",
    f"SET app.token TO x{CARD}; SET app.card = {CARD}",
    f"/* user=eve */ SELECT name /* of eve /* {SECRET} */ */ FROM customers WHERE id = {CARD} ORDER BY 1 -- eve's",
)


@pytest.fixture(scope="module", params=["14", "18"])
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Postgres]:
    """Give a server that ran statements which are normalised, and such as are not."""
    with servers.private_postgres(request.param) as server:
        server.psql(FORGOTTEN)
        server.psql(f"SELECT count(*) AS found\nFROM   customers WHERE name = '{SECRET}' AND id > 7", "app")
        server.psql(f"CREATE ROLE somebody PASSWORD '{SECRET}'")
        server.psql(f"ALTER ROLE somebody PASSWORD $tag${SECRET}$tag$")
        for statement in TELLING:
            server.psql(statement, "app")
        server.psql("SELECT " + ", ".join(f"{n} AS column_number_{n}" for n in range(100)))
        yield server


async def texts_of(datastore: PostgresDatastore) -> dict[str, str]:
    [query] = (query for query in read_queries(["postgres"]) if query.name == "statement_texts")
    found = [str(row["text"]).partition(": ") for row in await fetch(datastore, query)]
    return {queryid: text for queryid, _, text in found}


async def test_texts_are_of_the_statements_that_have_series_and_hold_no_constants(server: Postgres) -> None:
    async with opened(server.target("db")) as datastore:
        await datastore.ping()
        before = await texts_of(datastore)
        collected = await poll(datastore, "statements")
        texts = await texts_of(datastore)

    named = {dict(labels)["queryid"] for labels in collected.samples["pg_stat_statements_calls_total"]} - {"other"}
    assert before == {}
    assert texts.keys() == named
    assert "SELECT count(*) AS found FROM customers WHERE name = $1 AND id > $2" in texts.values()
    assert {"ALTER (kept back: it is not normalised)", "CREATE (kept back: it is not normalised)"} <= set(
        texts.values()
    )
    assert {"DO (kept back: it is not normalised)", "SET (kept back: it is not normalised)"} <= set(texts.values())
    [call] = [text for text in texts.values() if text.startswith("CALL")]
    assert call == ("CALL charge($1)" if server.version == "18" else "CALL (kept back: it is not normalised)")
    assert "SELECT name FROM customers WHERE id = $1 ORDER BY 1" in texts.values()
    assert not any(secret in str(texts) for secret in (SECRET, CARD[:9], "eve"))
    assert server.psql("SELECT 1 FROM pg_stat_statements WHERE query LIKE '%oid = 411111111%'")
    assert max(map(len, texts.values())) == 500


async def test_a_text_is_read_once(server: Postgres) -> None:
    """The server reads all texts from a file to tell one."""
    async with opened(server.target("db")) as datastore:
        await poll(datastore, "statements")
        first = await texts_of(datastore)
        server.psql("SELECT pg_stat_statements_reset()")
        second = await texts_of(datastore)
        [(readings,)] = server.psql(
            "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%DISTINCT ON (queryid)%'"
        )

    assert second == first != {}
    assert readings == "0"


def test_texts_are_at_findings_alone_and_only_where_asked_for(servers: Servers, tmp_path: Path) -> None:
    """No text is on a page that Prometheus or a load balancer reads, or in the log."""
    (tmp_path / "postgres").mkdir()
    built_in = (builtin_folder() / "postgres" / "statement_texts.yaml").read_text()
    (tmp_path / "postgres" / "statement_texts.yaml").write_text(built_in.replace("interval: 1m", "interval: 1s"))
    with servers.private_postgres("18") as server:
        server.psql("ALTER ROLE monitor CONNECTION LIMIT 20")  # for two exporters, as it were
        server.psql("SELECT pg_sleep(3) AS told_by_nobody_else", "app")  # among the slowest, whoever else is slow
        targets = [server.target("asked", statement_texts=True), server.target("silent")]
        with Exporter(targets, queries=[str(tmp_path)]) as exporter:
            exporter.wait_up("asked", "silent")

            def found(target: str) -> dict[str, list[str]]:
                answer: dict[str, list[str]] = json.loads(exporter.get(f"/findings/{target}").body)
                return answer

            exporter.wait(lambda: "told_by_nobody_else" in str(found("asked")), "the text", 90)
            silent = found("silent")
            pages = [exporter.get(path).body.decode() for path in ("/metrics", "/health", "/", "/health/targets/asked")]
        pages.append(exporter.last_log)

    assert "statement_texts" not in silent
    assert [page for page in pages if "told_by_nobody_else" in page] == []
