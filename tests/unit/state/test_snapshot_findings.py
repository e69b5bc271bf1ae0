"""What a count stands for is named, for people, and never becomes a label."""

import json

import pytest
from starlette.testclient import TestClient

from exporter.config.config import Config
from exporter.errors import QueryError
from exporter.exposition.page import Exposition
from exporter.queries.health_rule import HealthRule
from exporter.queries.query import Query, Row
from exporter.settings import RuntimeConfig
from exporter.state.checks import checks
from exporter.state.snapshot import findings
from exporter.web.app import create_app
from tests.support.factories import Events, at, metric, monitored_target, query, snapshot

KEYLESS = query(
    "keyless", labels=(), findings="names", metrics=(metric("pg_tables_keyless", value="tables"),),
    health=HealthRule(check="keys", metric="pg_tables_keyless", warn_above=0),
)  # fmt: skip
SETTINGS = query(
    "settings", labels=(), findings="name", metrics=(), health=HealthRule(check="settings", status="status")
)


@pytest.mark.parametrize(
    ("value", "names"),
    [(["a", "b"], ("a", "b")), ("a", ("a",)), (None, ()), ([], ()), (["a", None], ("a",)), (("a",), ("a",))],
)
def test_a_column_names_one_thing_several_or_none(value: object, names: tuple[str, ...]) -> None:
    assert KEYLESS.findings_in([{"tables": 1.0, "names": value}]) == names


def test_names_are_bounded() -> None:
    """A schema of a million tables without keys is reported by its count."""
    assert len(KEYLESS.findings_in([{"tables": 1e6, "names": [str(number) for number in range(1000)]}])) == 100


def test_a_column_that_is_not_there_fails_the_query() -> None:
    with pytest.raises(QueryError, match="no column 'names' of findings"):
        KEYLESS.findings_in([{"tables": 1.0}])


def outputs(asked: Query, *rows: Row, database: str | None = None) -> dict[str, str | None]:
    events, seen = Events(), snapshot()
    seen.apply(events.ping(1.0))
    seen.apply(events.result(1.0, asked, rows, database))
    return {check.name: check.output for check in checks(seen.known("orders", 1.0))}


def test_health_names_what_is_wrong() -> None:
    """With the database in front where the query was asked in several."""
    row = {"tables": 2.0, "names": ["public.a", "public.b"]}

    assert outputs(KEYLESS, row)["keys"] == "public.a, public.b"
    assert outputs(KEYLESS, row, database="app")["keys"] == "app:public.a, app:public.b"


def test_health_names_the_first_ten() -> None:
    names = [f"t{number}" for number in range(12)]

    assert outputs(KEYLESS, {"tables": 12.0, "names": names})["keys"] == ", ".join(names[:10]) + " and 2 more"


def test_a_check_that_passes_names_nothing() -> None:
    assert outputs(KEYLESS, {"tables": 0.0, "names": ["a leftover"]})["keys"] is None


def test_findings_of_rows_with_a_status_name_the_worst() -> None:
    rows: list[Row] = [
        {"name": "wal_level", "status": "fail"}, {"name": "fsync", "status": "pass"}, {"name": "jit", "status": "warn"},
        {"name": "archive_mode", "status": "fail"},
    ]  # fmt: skip

    assert outputs(SETTINGS, *rows)["settings"] == "wal_level, archive_mode"


def test_findings_go_with_their_target() -> None:
    """A server that cannot be asked names nothing: the tables may have their keys by now."""
    events, seen = Events(), snapshot()
    seen.apply(events.ping(1.0))
    for database in ("app", "log"):
        seen.apply(events.result(1.0, KEYLESS, [{"tables": 1.0, "names": ["public.a"]}], database))

    assert findings(seen, "orders", at(2.0)) == {"keyless": ["app:public.a", "log:public.a"]}
    seen.apply(events.failed_ping(3.0))
    assert findings(seen, "orders", at(3.0)) == {}


def test_findings_are_on_no_page_of_metrics() -> None:
    events, seen = Events(), snapshot()
    exposition = Exposition(seen)
    seen.apply(events.ping(1.0))
    result = events.result(1.0, KEYLESS, [{"tables": 1.0, "names": ["public.secretive"]}])
    seen.apply(result)
    exposition.render(result)

    body = b"".join(exposition.page("text", at(1.0)).blocks())
    assert b"pg_tables_keyless" in body
    assert b"secretive" not in body


def test_a_page_serves_them() -> None:
    """All targets' at /findings, one target's below it; an unknown target is 404."""
    target = {"name": "orders", "store": "postgres", "url": "postgresql://u@h/db"}
    app = create_app(RuntimeConfig(Config.model_validate({"targets": [target]})))
    client, service, events = TestClient(app), app.state.service, Events(monitored_target())  # nothing is polled
    now = service.snapshot.status["orders"].fresh_until - 20
    service.publish(events.ping(now))
    service.publish(events.result(now, KEYLESS, [{"tables": 1.0, "names": ["public.a"]}]))
    everything, one, unknown = (client.get(f"/findings{path}") for path in ("", "/orders", "/nobody"))
    client.close()

    assert json.loads(one.content) == {"keyless": ["public.a"]}
    assert json.loads(everything.content) == {"orders": {"keyless": ["public.a"]}}
    assert unknown.status_code == 404
