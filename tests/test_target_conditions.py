"""What a load balancer may ask of one target."""

from typing import Any

import pytest

from exporter.health import report
from exporter.snapshot import Event
from exporter.target_conditions import Conditions, conditions_of, judge
from exporter.verdict import HealthRule
from tests.making import Events, at, info, metric, query, snapshot

EVENTS = Events()
LAG = query(
    "lag", labels=(), metrics=(metric("pg_lag_seconds"),),
    health=HealthRule(check="replicationLag", metric="pg_lag_seconds", warn_above=30),
)  # fmt: skip


def body(*events: Event, now: float = 2.0) -> dict[str, Any]:
    made = snapshot()
    for event in events:
        made.put(event)
    return report(made, at(now), ["orders"])


def replica(lag: float | None = 4.0, now: float = 1.0) -> list[Event]:
    """Return a whole good poll of a replica that lags so many seconds."""
    return [EVENTS.ping(now, info(role="replica")), EVENTS.result(now, LAG, [{"bytes": lag}]), EVENTS.poll(now)]


@pytest.mark.parametrize(
    ("parameters", "conditions"),
    [
        ({}, Conditions()),
        ({"role": "primary"}, Conditions(role="primary")),
        ({"max_lag": "10s", "max_age": "1m"}, Conditions(max_lag=10.0, max_age=60.0)),
    ],
)
def test_conditions(parameters: dict[str, str], conditions: Conditions) -> None:
    assert conditions_of(parameters) == conditions


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_lag": "10"}, "'10' is not a duration"),
        ({"max_age": ""}, "'' is not a duration"),
        ({"rolle": "primary"}, "unknown parameters: rolle; there are role, max_lag, max_age"),
    ],
)
def test_a_condition_that_is_none(parameters: dict[str, str], message: str) -> None:
    """A typing error in a load balancer's configuration must not look like a healthy server."""
    with pytest.raises(ValueError, match=message):
        conditions_of(parameters)


@pytest.mark.parametrize(
    ("conditions", "broken"),
    [
        (Conditions(), []),
        (Conditions(role="replica", max_lag=4.0, max_age=1.0), []),
        (Conditions(role="primary"), [{"code": "limit", "check": "role", "value": "replica", "limit": "primary"}]),
        (Conditions(max_lag=3.0), [
            {"code": "limit", "check": "replicationLag", "value": 4.0, "limit": 3.0, "unit": "seconds"}]),
        (Conditions(max_age=0.5), [
            {"code": "limit", "check": "dataAge", "value": 1.0, "limit": 0.5, "unit": "seconds"}]),
    ],
)  # fmt: skip
def test_a_condition_that_does_not_hold_fails(conditions: Conditions, broken: list[dict[str, Any]]) -> None:
    """And it is said which."""
    judged = judge(body(*replica()), "orders", conditions)

    assert judged["status"] == ("fail" if broken else "pass")
    assert judged["targets"]["orders"]["reasons"] == broken


@pytest.mark.parametrize("events", [[], replica(None), [*replica(), EVENTS.failed_ping(2.0)]])
def test_what_is_not_known_does_not_hold(events: list[Event]) -> None:
    """No traffic for a replica whose lag nobody knows."""
    judged = judge(body(*events), "orders", Conditions(max_lag=60.0))

    assert judged["status"] == "fail"
    assert judged["targets"]["orders"]["reasons"][-1]["check"] == "replicationLag"


def test_a_server_that_is_down_has_no_role() -> None:
    """Its last one is not its present one."""
    judged = judge(body(*replica(), EVENTS.failed_ping(2.0)), "orders", Conditions(role="replica"))

    assert judged["targets"]["orders"]["reasons"] == [
        {"code": "connect"}, {"code": "limit", "check": "role", "value": None, "limit": "replica"}
    ]  # fmt: skip


def test_the_report_itself_is_not_changed() -> None:
    """A judgement is a new body."""
    before = body(*replica())
    judge(before, "orders", Conditions(role="primary"))

    assert before == body(*replica())


def test_a_lag_that_is_no_time_breaks_max_lag() -> None:
    """Neo4j's transactions and Qdrant's shards behind are no seconds to compare with."""
    rule = HealthRule(check="replicationLag", metric="neo4j_lag_transactions", warn_above=30)
    lag = query("lag", labels=(), metrics=(metric("neo4j_lag_transactions"),), health=rule)
    made = body(EVENTS.ping(1.0, info()), EVENTS.result(1.0, lag, [{"bytes": 0.0}]), EVENTS.poll(1.0))

    assert judge(made, "orders", Conditions(max_lag=10.0))["status"] == "fail"


def test_a_target_that_is_down_takes_no_requests_though_it_is_not_required() -> None:
    """Required or not decides about the whole data tier; a load balancer asks about this one server."""
    made = body(EVENTS.ping(1.0, info()), EVENTS.poll(1.0))
    made["targets"]["orders"]["state"] = "down"
    made["status"] = "warn"

    assert judge(made, "orders", Conditions())["status"] == "fail"
