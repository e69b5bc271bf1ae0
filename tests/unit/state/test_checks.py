"""The checks of /health: what the ping, the queries and the privileges say of a target."""

from dataclasses import replace
from typing import Any

import pytest

from exporter.errors import QueryError, Reason
from exporter.health.report import report
from exporter.queries.health_rule import HealthRule
from exporter.queries.query import Query
from exporter.state.checks import checks, serves
from exporter.state.events import Event
from exporter.state.snapshot import Snapshot
from tests.support.factories import at, info, monitored_target, query
from tests.support.health_events import EVENTS, connections, known_after, target_of, unexplained, used

CALM = ("overrun", "privileges", "queries")  # checks of every target that is up


def test_a_failed_ping_fails_the_response_time() -> None:
    """A server that does not answer has no response time, which is worse than a long one."""
    body = report(known_after(*used(0.1), EVENTS.failed_ping(2.0, "auth")), at(2.0))

    assert body["checks"]["orders:responseTime"] == [
        {"componentId": "orders", "status": "fail", "warnAbove": 0.5, "failAbove": 2.0, "output": "auth",
         "time": "1970-01-01T00:00:02.000Z"}
    ]  # fmt: skip


def test_a_slow_ping_degrades() -> None:
    """What a check says, the state says."""
    target = target_of([EVENTS.ping(1.0, seconds=2.5), EVENTS.poll(1.0)])

    assert target["state"] == "degraded"
    assert target["reasons"] == [
        {"code": "limit", "check": "responseTime", "value": 2.5, "limit": 2.0, "unit": "seconds"}
    ]


@pytest.mark.parametrize(
    ("rule", "value", "limit"),
    [
        ({}, 0.9, 0.8),
        ({}, 0.96, 0.95),
        ({"warn_below": 0.2, "fail_below": 0.1}, 0.15, 0.2),
        ({"warn_below": 0.2, "fail_below": 0.1}, 0.05, 0.1),
        ({"warn_above": None, "fail_above": None, "fail_below": 0.1}, 0.05, 0.1),
    ],
)
def test_a_reason_names_the_limit_that_was_crossed(rule: dict[str, Any], value: float, limit: float) -> None:
    """Of four possible ones."""
    [reason] = target_of(used(value, asked=connections(**rule)))["reasons"]

    assert (reason["value"], reason["limit"]) == (value, limit)


def test_rows_with_their_own_verdict_have_no_value() -> None:
    """Neither value nor limit nor unit is made up."""
    asked = query("cluster", labels=(), metrics=(), health=HealthRule(check="cluster", status="verdict"))
    result = EVENTS.result(1.0, asked, [{"verdict": "fail"}])
    body = report(known_after(EVENTS.ping(1.0), result, EVENTS.poll(1.0)), at(2.0))

    assert body["targets"]["orders"]["reasons"] == [{"code": "limit", "check": "cluster"}]
    assert body["checks"]["orders:cluster"] == [
        {"componentId": "orders", "status": "fail", "time": "1970-01-01T00:00:01.000Z"}
    ]


def test_a_failed_query_leaves_its_check_unknown() -> None:
    """Its reason is shown; the target is not blamed for a question that failed."""
    failed = EVENTS.failed_result(1.0, connections())
    body = report(known_after(EVENTS.ping(1.0), failed, EVENTS.poll(1.0)), at(2.0))

    [check] = body["checks"]["orders:connections"]
    assert (check["status"], check["output"]) == ("unknown", "timeout")
    assert body["targets"]["orders"]["state"] == "ok"
    assert body["targets"]["orders"]["failing_queries"] == [{"query": "connections", "reason": "timeout"}]


def test_null_leaves_a_check_unknown() -> None:
    """What the server does not report is not a pass."""
    [check] = report(known_after(*used(None)), at(2.0))["checks"]["orders:connections"]

    assert (check["status"], check["output"]) == ("unknown", "no_recent_sample")


def test_an_unsupported_query_is_no_failing_one() -> None:
    """A server may be what it is."""
    absent = EVENTS.failed_result(1.0, query("io"), QueryError("unsupported", "needs version >=16"))

    assert target_of([EVENTS.ping(1.0), absent, EVENTS.poll(1.0)])["failing_queries"] == []


def test_check_of_two_queries_has_the_worse_outcome() -> None:
    """Whichever comes first."""
    asked = [connections(), connections().model_copy(update={"name": "more"})]
    for values in ((0.9, 0.1), (0.1, 0.9)):
        results = [
            EVENTS.result(1.0, question, [{"used": value}]) for question, value in zip(asked, values, strict=True)
        ]
        found = {check.name: check for check in checks(known_after(EVENTS.ping(1.0), *results).known("orders", 2.0))}

        assert (found["connections"].status, found["connections"].value) == ("warn", 0.9)


def test_a_query_may_bring_a_check_that_everybody_has() -> None:
    """It is there once, in its usual place."""
    asked = connections(check="replicationLag")
    found = checks(known_after(*used(0.1, asked=asked)).known("orders", 2.0))

    assert [check.name for check in found] == ["responseTime", "replicationLag", "diskSpace", *CALM]
    assert found[1].value == 0.1


def test_a_user_who_may_not_see_everything_degrades_the_target() -> None:
    """Silence is not health."""
    target = target_of(used(0.1, missing=["pg_monitor", "connect to app"]))

    assert (target["state"], target["reasons"][0]["check"]) == ("degraded", "privileges")


def polled(*failing: Query, polls: int = 4, every: float = 15.0) -> Snapshot:
    """Return what is known after so many good pings, in each of which these queries failed, and another did not."""
    made = known_after()
    for number in range(polls):
        now = every * number
        made.apply(EVENTS.ping(now, info("15.19", role="primary"), 0.001))
        made.apply(EVENTS.result(now, query("fine")))
        for asked in failing:
            made.apply(EVENTS.failed_result(now, asked))
        made.apply(EVENTS.poll(now))
    return made


def test_a_server_that_does_not_serve_its_database_is_down() -> None:
    """Its results are served and name the closed database; with the check off, nothing is judged by it."""
    closed: list[Event] = [EVENTS.ping(1.0, info(unserved="neo4j: offline")), EVENTS.result(1.0), EVENTS.poll(1.0)]
    known, unjudged = (
        known_after(*closed),
        known_after(*closed, target=monitored_target(unjudged=frozenset({"databases"}))),
    )
    body = report(known, at(2.0))
    target, [check] = body["targets"]["orders"], body["checks"]["orders:databases"]
    back = known_after(*closed, *used(0.1, 2.0), *used(0.1, 3.0))

    assert (body["status"], target["state"], unexplained(target)) == ("fail", "down", None)
    assert target["reasons"] == [{"code": "limit", "check": "databases"}]
    assert (check["status"], check["output"]) == ("fail", "neo4j: offline")
    assert (serves(known.known("orders", 2.0)), len(known.fresh_results("orders", 2.0))) == (False, 1)
    assert report(unjudged, at(2.0))["targets"]["orders"]["state"] == "ok"
    assert serves(unjudged.known("orders", 2.0))
    assert report(back, at(3.0))["targets"]["orders"]["state"] == "ok"


def test_built_in_queries_that_fail_degrade_the_target() -> None:
    """With one reason, which counts and names them."""
    made = polled(*[query(f"q{number:02}") for number in range(38)])
    body = report(made, at(46.0))
    [check] = body["checks"]["orders:queries"]

    assert (body["status"], body["targets"]["orders"]["state"]) == ("warn", "degraded")
    assert body["targets"]["orders"]["reasons"] == [{"code": "limit", "check": "queries", "value": 38.0, "limit": 0}]
    assert body["notes"] == ["orders: degraded, 38 queries fail"]
    assert (check["status"], check["output"][:28]) == ("warn", "q00 (timeout), q01 (timeout)")
    assert check["output"].endswith("q09 (timeout) and 28 more")


def test_a_query_that_fails_once_degrades_nothing() -> None:
    """It may have met a lock; it is named at once all the same."""
    for failures, state in ((1, "ok"), (2, "degraded")):
        made = polled()
        for number in range(failures):
            made.apply(EVENTS.failed_result(46.0 + number))
        for number in range(2):
            made.apply(EVENTS.ping(60.0 + number))
            made.apply(EVENTS.poll(60.0 + number))
        target = report(made, at(62.0))["targets"]["orders"]

        assert (target["state"], target["failing_queries"]) == (state, [{"query": "sizes", "reason": "timeout"}])


@pytest.mark.parametrize("how", ["untrusted", "unsupported", "well again"])
def test_failing_query_of_a_user_degrades_no_target(how: str) -> None:
    """A user's own query is named, and raises its alert; no server is worse for it."""
    asked = query("mine", untrusted=how == "untrusted")
    made = polled(asked) if how == "untrusted" else polled()
    for now in (46.0, 47.0):
        reason: Reason = "unsupported" if how == "unsupported" else "timeout"
        made.apply(EVENTS.failed_result(now, asked, QueryError(reason, "no")))
    if how == "well again":
        made.apply(EVENTS.result(48.0, asked))
    made.apply(EVENTS.ping(49.0))
    made.apply(EVENTS.poll(49.0))
    body = report(made, at(50.0))

    assert (body["status"], body["targets"]["orders"]["state"]) == ("pass", "ok")
    assert body["notes"] == (["orders: ok, 1 query fails"] if how == "untrusted" else [])


def test_query_that_fails_in_many_databases_counts_once() -> None:
    """Its failures are counted for each database."""
    made, asked = polled(), query("tables")
    for now in (46.0, 47.0):
        for database in ("app", "log", "shop"):
            made.apply(replace(EVENTS.failed_result(now, asked), database=database))
    [check] = report(made, at(48.0))["checks"]["orders:queries"]

    assert (check["observedValue"], check["output"]) == (1.0, "tables (timeout)")


@pytest.mark.parametrize(
    ("skew", "status", "output"),
    [
        (0.0, "pass", None),
        (-1.4, "pass", None),
        (60.0, "pass", None),
        (1200.0, "warn", "the server's clock is ahead of the exporter's"),
        (-1200.0, "warn", "the server's clock is behind the exporter's"),
    ],
)
def test_clocks_that_are_apart(skew: float, status: str, output: str | None) -> None:
    """Warn from a minute on: HTTP has whole seconds, and what is fast or slow by them is healthy."""
    found = {check.name: check for check in checks(known_after(EVENTS.ping(1.0, skew=skew)).known("orders", 2.0))}
    body = report(known_after(EVENTS.ping(1.0, skew=skew), EVENTS.poll(1.0)), at(2.0))

    clock = found["clockSkew"]
    assert (clock.status, clock.value, clock.unit, clock.output) == (status, abs(skew), "seconds", output)
    assert body["targets"]["orders"]["state"] == ("ok" if status == "pass" else "degraded")


def test_unknown_clock_has_no_check() -> None:
    silent = known_after(EVENTS.ping(1.0, skew=1200.0), EVENTS.failed_ping(2.0))

    assert "clockSkew" not in {check.name for check in checks(silent.known("orders", 3.0))}
    assert "clockSkew" not in {
        check.name for check in checks(known_after(EVENTS.ping(1.0, skew=5.0)).known("orders", 9999.0))
    }


def test_a_server_that_refuses_us_for_the_clock_tells_both() -> None:
    """Why, and by how much: the password is not to be looked for."""
    body = report(known_after(EVENTS.failed_ping(1.0, "auth", skew=-1200.0), EVENTS.poll(1.0)), at(2.0))

    assert body["targets"]["orders"]["reasons"] == [
        {"code": "auth"},
        {"code": "limit", "check": "clockSkew", "value": 1200.0, "limit": 60.0, "unit": "seconds"},
    ]
    assert body["checks"]["orders:clockSkew"][0]["output"] == "the server's clock is behind the exporter's"
