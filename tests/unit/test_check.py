"""The check command reports for each target what works, what fails, and what grants missing privileges."""

import json
from typing import Any

import pytest

from exporter import check
from exporter.config.config import Config
from exporter.datastores.base import Datastore
from exporter.errors import QueryError
from exporter.queries.conditions import Conditions
from exporter.queries.query import Query
from exporter.settings import RuntimeConfig
from tests.support.factories import info, plain, query
from tests.support.fakes import HANG, Fake

URL = "postgresql://monitor:hunter22@db1/postgres"


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Fake]:
    """Return the servers behind the targets, by name."""
    servers = {"orders": Fake(), "invoices": Fake()}

    def open_datastore(target: Any) -> Datastore:
        return servers[target.name]

    monkeypatch.setattr(check, "open_datastore", open_datastore)
    return servers


async def checked(*queries: Query, targets: tuple[str, ...] = ("orders",)) -> list[dict[str, Any]]:
    settings = [{"name": name, "store": "postgres", "url": URL} for name in targets]
    return await check.check(RuntimeConfig(Config.model_validate({"targets": settings}), tuple(queries)))


async def outcomes(*queries: Query) -> dict[str, tuple[int, int, str]]:
    """Return rows, series and reason of each query of one target."""
    [report] = await checked(*queries)
    return {each["query"]: (each["rows"], each["series"], each.get("reason", "ok")) for each in report["queries"]}


async def test_report_of_each_target(fakes: dict[str, Fake]) -> None:
    """Identity, each query's outcome, missing privileges with their grant, what is not there and why."""
    fake = fakes["orders"]
    fake.pinged = info(
        role="primary", edition="community", missing_privileges={"pg_monitor": "GRANT pg_monitor"},
        capabilities={"statements": "", "wal": "needs version >=16"},
    )  # fmt: skip
    fake.answers = {"bloat": QueryError("timeout", "no answer\nwithin 5 s"), "sizes": plain({"app": 1.0, "log": 2.0})}
    [report] = await checked(query(), query("bloat"))

    assert report["milliseconds"] >= 0
    assert all(each.pop("milliseconds") >= 0 for each in report["queries"])
    assert report == {
        "target": "orders",
        "store": "postgres",
        "up": True,
        "version": "15.4",
        "role": "primary",
        "edition": "community",
        "milliseconds": report["milliseconds"],
        "queries": [
            {"query": "sizes", "rows": 2, "series": 2},
            {"query": "bloat", "rows": 0, "series": 0, "reason": "timeout", "error": "no answer within 5 s"},
        ],
        "missing_privileges": {"pg_monitor": "GRANT pg_monitor"},
        "unavailable": {"wal": "needs version >=16"},
    }


async def test_text_is_a_table(fakes: dict[str, Fake]) -> None:
    """With one line for each query."""
    fakes["orders"].pinged = info("15.4", role="primary", missing_privileges={"pg_monitor": "GRANT pg_monitor"})
    fakes["orders"].answers = {"bloat": QueryError("timeout", "no answer")}
    [report] = await checked(query(), query("bloat"), query("io", when=Conditions(version=">=16")))
    report |= {"milliseconds": 0.5, "queries": [{**each, "milliseconds": 1.5} for each in report["queries"]]}

    assert check.as_text([report]).splitlines() == [
        "orders: postgres 15.4 primary, ping 0.5 ms",
        "",
        "  query    rows  series        ms  result",
        "  sizes       1       1       1.5  ok",
        "  bloat       0       0       1.5  FAILED timeout: no answer",
        "  io          0       0       1.5  unsupported: needs version >=16",
        "",
        "  missing privileges, and what grants them:",
        "    pg_monitor: GRANT pg_monitor",
    ]
    assert json.loads(check.as_json([report])) == {"targets": [report]}


async def test_target_that_is_down_has_its_reason(fakes: dict[str, Fake]) -> None:
    """The others are checked all the same; secrets in the message of the server are blanked."""
    fakes["orders"].pinged = OSError("no route to hunter22@db1")
    down, up = await checked(query(), targets=("orders", "invoices"))

    assert down == {
        "target": "orders", "store": "postgres", "up": False, "reason": "connect",
        "error": "OSError: no route to ***@db1", "queries": [],
    }  # fmt: skip
    assert up["up"] is True
    assert check.as_text([down]) == "orders: postgres, DOWN (connect): OSError: no route to ***@db1"
    assert fakes["orders"].left == fakes["invoices"].left == 1


async def test_queries_of_all_lanes_and_databases_run_once(fakes: dict[str, Fake]) -> None:
    """Rows are summed over databases; globs of a query apply as when serving."""
    fakes["orders"].answers = {"tables": [{"bytes": 1.0}]}
    tables = query("tables", scope="database", labels=(), databases=("app", "log"))

    assert await outcomes(query(interval="1h"), tables) == {"sizes": (1, 1, "ok"), "tables": (2, 2, "ok")}
    assert fakes["orders"].asked == ["ping", "slow sizes", "slow tables in app", "slow tables in log"]


async def test_query_that_fails_in_one_database_fails(fakes: dict[str, Fake]) -> None:
    fakes["orders"].names = ("app",)
    fakes["orders"].answers = {"tables": QueryError("privilege", "not yours")}

    assert await outcomes(query("tables", scope="database", labels=())) == {"tables": (0, 0, "privilege")}


async def test_failed_discovery_fails_its_queries_alone(fakes: dict[str, Fake]) -> None:
    """The other queries run; there is no traceback."""
    fakes["orders"].names = QueryError("privilege", "no list for you")
    tables = query("tables", scope="database", labels=())

    assert await outcomes(query(interval="1h"), tables) == {"sizes": (1, 1, "ok"), "tables": (0, 0, "privilege")}


async def test_failed_session_fails_its_queries(fakes: dict[str, Fake]) -> None:
    fakes["orders"].opening = OSError("too many connections")

    assert await outcomes(query(), query("other")) == {"sizes": (0, 0, "connect"), "other": (0, 0, "connect")}


async def test_hanging_ping_is_a_timeout(fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    """A person waits for ten seconds at most."""
    monkeypatch.setattr(check, "PING_SECONDS", 0.01)
    fakes["orders"].pinged = HANG
    [report] = await checked(query())

    assert report["reason"] == "timeout"


@pytest.mark.parametrize(
    ("report", "failed"),
    [
        ({"up": True, "queries": []}, False),
        ({"up": True, "queries": [{"query": "a"}, {"query": "b", "reason": "unsupported"}]}, False),
        ({"up": True, "queries": [{"query": "a", "reason": "privilege"}]}, True),
        ({"up": False, "queries": []}, True),
    ],
)
def test_unsupported_query_is_no_failure(report: dict[str, Any], failed: bool) -> None:  # noqa: FBT001 - a table's column
    """The exit code reports what a user can correct."""
    assert check.failed([report]) == failed


async def test_operation_with_steps_takes_one(fakes: dict[str, Fake]) -> None:
    """Without a step its rows would be empty but right, even on a server that refuses each step."""
    await checked(query("waits", step_every=5.0))

    assert [asked for asked in fakes["orders"].asked if "waits" in asked] == ["sampler waits", "fast waits"]


async def test_text_is_printable(fakes: dict[str, Fake]) -> None:
    """Whatever a server reports as its version, or as an error."""
    fakes["orders"].pinged = info(
        "15\x1b[2J",
        role="primary\r",
        edition="\u202eegde",
        missing_privileges={"p": "GRANT\x07"},
        capabilities={"c": "\x9bno"},
    )
    fakes["orders"].answers = {"sizes": QueryError("query", "\x1b]0;title\x07")}
    text = check.as_text(await checked(query()))

    assert text.replace("\n", "").isprintable()
    assert r"15\x1b[2J \u202eegde primary\r" in text
    assert r"FAILED query: \x1b]0;title\x07" in text
