"""Rows may each belong to a check of their own: seen in /health, at /findings, on the status page, as metrics."""

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.errors import QueryError, Reason
from exporter.polling.execution import failed_canary
from exporter.queries.health_rule import HealthRule
from exporter.queries.query import Row
from exporter.settings import read_queries
from exporter.state.checks import checks
from tests.support.app_client import AppClient
from tests.support.factories import Events, at, monitored_target, query, snapshot, write
from tests.support.health_events import EVENTS, connections, known_after, used

JOBS = query(
    "jobs", labels=("job",), metrics=(), findings="wrong", health=HealthRule(check_column="job", status="verdict")
)
FILE = """
query: SELECT 1
labels: [job]
metrics:
  jobs_last_success_timestamp_seconds: {type: gauge, help: "When the job succeeded last.", value: at}
health: {check_column: job, status: verdict}
findings: wrong
"""


def row(job: object, verdict: str = "pass", *wrong: str) -> Row:
    return {"job": job, "verdict": verdict, "wrong": list(wrong), "at": 5.0}


def found(*rows: Row) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {one.check: (one.status, one.findings) for one in JOBS.outcomes(rows, [])}


def test_each_value_is_a_check_with_the_worst_of_its_rows() -> None:
    rows = [row("dump", "warn", "old"), row("copy"), row("dump", "fail", "empty"), row("dump", "fail", "cut")]

    assert found(*rows) == {"dump": ("fail", ("empty", "cut")), "copy": ("pass", ())}
    assert found() == {}


@pytest.mark.parametrize(
    ("name", "reason"), [(None, "decode"), ("", "decode"), (" \n", "decode"), (5, "decode"), ("x" * 201, "limit")]
)
def test_what_is_no_name_fails_the_query(name: object, reason: Reason) -> None:
    """Neither /health nor Prometheus shall show a check that nobody can name."""
    with pytest.raises(QueryError) as caught:
        found(row("dump"), row(name))

    assert caught.value.reason == reason


def test_names_are_visible_text() -> None:
    """A line break or a direction mark would forge lines."""
    names = found(row("a\nb"), row("x" * 200), row("\u202e"), row("\udcff")).keys()

    assert names == {"a\\nb", "x" * 200, "\\u202e", "\\udcff"}
    with pytest.raises(QueryError, match="more than 200"):
        found(row("\n" * 100 + "x"))


def test_checks_are_two_hundred_at_most() -> None:
    assert len(found(*[row(f"job{number % 200}") for number in range(500)])) == 200
    with pytest.raises(QueryError, match="more than 200 checks") as caught:
        found(*[row(f"job{number}") for number in range(201)])

    assert caught.value.reason == "limit"


def test_findings_name_their_check_and_leave_room_for_others() -> None:
    many = row("a", "fail", *[f"file{number}" for number in range(150)])
    named = JOBS.findings_in([many, row("b", "warn", "old"), row("c")])

    assert named == (*(f"a: file{number}" for number in range(33)), "b: old")


def test_a_users_rows_are_checks_everywhere(app_client: AppClient, tmp_path: Path) -> None:
    write(tmp_path / "postgres" / "jobs.yaml", FILE)
    [jobs] = [one for one in read_queries(["postgres"], [tmp_path]) if one.name == "jobs"]
    events = Events(monitored_target("orders"))
    rows = [row("dump", "fail", "dump_1: empty"), row("copy", "unknown", "not looked at yet"), row("index")]
    app_client.publish(events.ping(1.0), events.result(1.0, jobs, rows), events.poll(1.0))
    app_client.now = 2.0
    body = app_client.health("/health/targets/orders")
    shown = {name: app_client.client.get(name).text for name in ("/metrics", "/findings/orders", "/targets/orders")}
    families = {family.name: family for family in text_string_to_metric_families(shown["/metrics"])}
    states = {one.labels["check"]: one.value for one in families["datatier_check_state"].samples}

    one = {name: body["checks"][f"orders:{name}"][0] for name in ("dump", "copy", "index")}
    assert [(one[name]["status"], one[name].get("output")) for name in one] == [
        ("fail", "dump_1: empty"), ("unknown", "not looked at yet"), ("pass", None)
    ]  # fmt: skip
    assert body["targets"]["orders"]["state"] == "degraded"
    assert body["targets"]["orders"]["reasons"] == [{"code": "limit", "check": "dump"}]
    assert {name: states[name] for name in one} == {"dump": 3.0, "copy": 1.0, "index": 0.0}
    assert json.loads(shown["/findings/orders"]) == {"jobs": ["dump: dump_1: empty", "copy: not looked at yet"]}
    assert all(text in shown["/targets/orders"] for text in ("dump_1: empty", "not looked at yet"))


def test_a_failed_query_makes_no_check_without_a_name() -> None:
    """What is known of the jobs is old; the query itself is what fails."""
    names = {check.name for check in checks(known_after(*used(0.1)).known("orders", 2.0))}
    known = known_after(
        *used(0.1), EVENTS.result(1.0, JOBS, [row("dump")]), EVENTS.failed_result(2.0, JOBS), EVENTS.poll(2.0)
    )

    assert {check.name for check in checks(known.known("orders", 2.0))} == names
    assert failed_canary(JOBS, QueryError("timeout", "")) == ()


def test_a_row_of_a_check_that_is_there_already_counts_if_it_is_worse() -> None:
    for status, worst in (("pass", "warn"), ("fail", "fail")):
        result = EVENTS.result(1.0, JOBS, [row("connections", status)])
        known = known_after(EVENTS.ping(1.0), result, EVENTS.result(1.0, connections(), [{"used": 0.9}]))
        [check] = [check for check in checks(known.known("orders", 2.0)) if check.name == "connections"]

        assert check.status == worst


def test_a_check_of_rows_can_be_off() -> None:
    target = monitored_target(unjudged=frozenset({"dump"}))
    events, seen = Events(target), snapshot(target)
    for event in (events.ping(1.0), events.result(1.0, JOBS, [row("dump", "fail"), row("copy")]), events.poll(1.0)):
        seen.apply(event)
    found = {check.name: (check.status, check.output) for check in checks(seen.known("orders", 1.0))}

    assert (found["dump"], found["copy"]) == (("unknown", "off"), ("pass", None))
    assert seen.state("orders", at(1.0).monotonic) == "ok"
