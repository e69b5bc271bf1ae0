"""A target's own page: each check against its limits, each query with its last result."""

from dataclasses import replace
from typing import Any

from exporter.errors import QueryError
from exporter.queries.health_rule import HealthRule
from exporter.queries.query import Query
from exporter.state.snapshot import findings
from exporter.status_page.rendering import render
from exporter.status_page.target import target_page
from tests.support.factories import Events, at, info, metric, monitored_target, query, snapshot
from tests.support.html_tree import Element, read_html
from tests.support.status_pages import EXPORTER, LONG_AGO

TABLES = query(
    "tables", labels=(), scope="database", findings="names", metrics=(metric("pg_tables_keyless", value="tables"),),
    health=HealthRule(check="keys", metric="pg_tables_keyless", warn_above=1, fail_above=10),
)  # fmt: skip
STATS = query("stats", privilege="pg_monitor")
POOLS = query("pools", privilege="SELECT on pg_monitor_pools")


class One:
    """One target and its page, a minute after its last poll began."""

    def __init__(self, **changes: Any) -> None:
        target = monitored_target(interval=60.0, **changes)
        self.events, self.snapshot = Events(target), snapshot(target)

    def up(self, *missing: str) -> None:
        server = info(
            edition="enterprise",
            started_at=LONG_AGO - 7200,
            missing_privileges=dict.fromkeys(missing, "GRANT it TO monitor"),
        )
        self.snapshot.apply(self.events.ping(LONG_AGO, server))
        self.snapshot.apply(self.events.poll(LONG_AGO))

    def result(self, asked: Query, database: str | None = None, *names: str) -> None:
        row = {"tables": float(len(names)), "names": list(names), "datname": "app", "bytes": 1.0}
        self.snapshot.apply(self.events.result(LONG_AGO, asked, [row], database))

    def failure(self, asked: Query, error: QueryError) -> None:
        self.snapshot.apply(self.events.failed_result(LONG_AGO, asked, error))

    def page(self) -> Element:
        page = target_page(self.snapshot, "orders", at(LONG_AGO + 60))
        return read_html(bytes(render("target.html", page=page, exporter=EXPORTER).body).decode())


def rows(page: Element, table: int) -> list[list[str]]:
    """Return a table's cells, row by row, without its head."""
    body = page.all("table")[table].one("tbody")
    return [[cell.text for cell in row.inside() if cell.tag in ("th", "td")] for row in body.all("tr")]


def test_checks_stand_against_their_limits() -> None:
    """With what was found, and why there is no value where there is none."""
    one = One()
    one.up()
    one.result(TABLES, "app", "a", "b")

    assert rows(one.page(), 0) == [
        ["response time", "pass", "1 ms", "> 500 ms", "> 2 s"],
        ["replication lag the server does not tell", "unknown", "", "", ""],
        ["disk space the server does not tell", "unknown", "", "", ""],
        ["keys app:a, app:b", "warn", "2", "> 1", "> 10"],
        ["queries asked too seldom", "pass", "0", "> 0", ""],
        ["privileges", "pass", "0", "> 0", ""],
        ["failing queries", "pass", "0", "> 0", ""],
    ]


def test_queries_have_their_last_result() -> None:
    """What fails first; a query asked in several databases is one line."""
    one = One()
    one.up()
    for database in ("app", "log"):
        one.result(TABLES, database, "a")
    one.result(STATS)
    one.failure(query("wal"), QueryError("timeout", "5 s were not enough"))

    assert rows(one.page(), 1) == [
        ["wal", "no answer in time", "5 s", "0", "1 min"],
        ["stats", "ok", "2 ms", "1", "1 min"],
        ["tables", "ok in 2 databases", "4 ms", "2", "1 min"],
    ]


def test_page_names_the_databases_where_a_query_fails() -> None:
    """A database that has no such table is no failure where another has it."""
    one = One()
    one.up()
    one.result(TABLES, "app", "a")
    for database, error in (("log", QueryError("unsupported", "no")), ("crm", QueryError("privilege", "no"))):
        one.snapshot.apply(replace(one.events.failed_result(LONG_AGO, TABLES, error), database=database))

    assert rows(one.page(), 1) == [["tables", "permission denied in crm", "5 s", "1", "1 min"]]


def test_page_says_why_a_query_does_not_apply() -> None:
    """In our own words: a driver's may hold anything."""
    one = One()
    one.up()
    one.failure(query("io"), QueryError("unsupported", "needs version >=16"))
    driver = QueryError("unsupported", "relation secret does not exist")
    driver.__cause__ = OSError()
    one.failure(query("legacy"), driver)
    page = one.page()

    assert page.one("summary").text == "2 more do not apply here"
    assert rows(page, 1) == [["io", "needs version >=16"], ["legacy", "unsupported"]]
    assert "Queries 0" in page.text


def test_a_missing_privilege_names_what_is_lost() -> None:
    """Not the statement that grants it: that names a user."""
    one = One()
    one.up("pg_monitor", "connect to app")
    one.result(STATS)
    one.result(POOLS)
    page = one.page()

    assert rows(page, 1) == [["connect to app", "–"], ["pg_monitor", "stats"]]  # noqa: RUF001 - a dash for nothing
    assert "GRANT" not in page.text


def test_facts() -> None:
    one = One(groups=("write", "eu"), required=False)
    one.up()
    facts = one.page().one("main").one("dl")

    assert [fact.text for fact in facts.all("div")] == [
        "Required no: /health only warns",
        "Groups write, eu",
        "Polled every 60 s",
        "Last good poll 1 min ago",
        "Edition enterprise",
        "Server has run for 2 h 1 min",
    ]


def test_findings_are_a_link_where_there_are_some() -> None:
    one = One()
    one.up()
    assert not [link for link in one.page().all("a") if link.attributes["href"] == "/findings/orders"]

    one.result(TABLES, "app", "a", "b")
    [link] = [link for link in one.page().all("a") if link.attributes["href"] == "/findings/orders"]
    assert link.text == "2, by name"
    assert sum(map(len, findings(one.snapshot, "orders", at(LONG_AGO)).values())) == 2


def test_page_of_a_target_that_is_down_shows_no_old_result() -> None:
    one = One()
    one.up()
    one.result(STATS)
    one.snapshot.apply(one.events.failed_ping(LONG_AGO + 30, "auth"))
    one.snapshot.apply(one.events.poll(LONG_AGO + 30))
    page = one.page()

    assert page.one("h1").text == "orders is down"
    assert page.one("header").one("li").text == "login refused"
    assert rows(page, 0)[0] == ["response time login refused", "fail", "", "", ""]
    assert "results are shown while the target is up" in page.text


def test_a_hundred_queries_are_under_50_kb() -> None:
    """As many as PostgreSQL has."""
    one = One()
    one.up()
    for number in range(110):
        one.result(query(f"a_query_with_a_long_name_{number:03}"))
    page = target_page(one.snapshot, "orders", at(LONG_AGO + 60))

    assert len(bytes(render("target.html", page=page, exporter=EXPORTER).body)) < 50_000
