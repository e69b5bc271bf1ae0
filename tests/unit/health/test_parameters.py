"""What a load balancer may ask of one target."""

from collections.abc import Sequence
from typing import Any

import pytest

from exporter.health.parameters import RequestConditions, conditions_of, judge
from exporter.health.target_health import TargetHealth, target_health
from exporter.queries.health_rule import HealthRule
from exporter.state.events import Event
from tests.support.factories import Events, at, info, metric, monitored_target, query, snapshot

EVENTS = Events()
LAG = query(
    "lag", labels=(), metrics=(metric("pg_lag_seconds"),),
    health=HealthRule(check="replicationLag", metric="pg_lag_seconds", warn_above=30),
)  # fmt: skip
BYTES = query(
    "bytes", labels=(), metrics=(metric("pg_lag_bytes"),),
    health=HealthRule(check="replicationLagBytes", metric="pg_lag_bytes", warn_above=2**28),
)  # fmt: skip


def health(*events: Event, now: float = 2.0, **changes: Any) -> TargetHealth:
    made = snapshot(monitored_target(**changes))
    for event in events:
        made.apply(event)
    return target_health(made, "orders", at(now))


def reasons(events: Sequence[Event], conditions: RequestConditions) -> list[dict[str, Any]]:
    """Return why the target fails, and nothing if it does not."""
    judged = judge(health(*events), conditions, at(2.0))
    found: list[dict[str, Any]] = judged.condition["reasons"]
    return found if judged.status == "fail" else []


def replica(lag: float | None = 4.0, now: float = 1.0) -> list[Event]:
    """Return a whole good poll of a replica that lags so many seconds."""
    server = EVENTS.ping(now, info(role="replica"))
    results = [EVENTS.result(now, LAG, [{"bytes": lag}]), EVENTS.result(now, BYTES, [{"bytes": 16.0 * 2**20}])]
    return [server, *results, EVENTS.poll(now)]


@pytest.mark.parametrize(
    ("pairs", "conditions"),
    [
        ([], RequestConditions()),
        ([("role", "primary")], RequestConditions(role="primary")),
        ([("max_lag", "10s"), ("max_age", "1m")], RequestConditions(max_lag=(10.0, "seconds"), max_age=60.0)),
        ([("max_lag", "16MiB")], RequestConditions(max_lag=(16.0 * 2**20, "bytes"))),
        ([("raw", "1"), ("verbose", "")], RequestConditions(raw=True, verbose=True)),
        ([("raw", "0")], RequestConditions()),
    ],
)
def test_conditions(pairs: list[tuple[str, str]], conditions: RequestConditions) -> None:
    assert conditions_of(pairs) == conditions


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("max_lag", "10")], "max_lag=10: expected a duration such as 10s, or a size such as 16MiB"),
        ([("max_lag", "")], "max_lag=: expected"),
        ([("max_lag", "manyB")], "'manyB' is not a size"),
        ([("max_age", "")], "'' is not a duration"),
        ([("role", "leader")], "role=leader: expected role=primary or role=replica"),
        ([("role", "primary"), ("role", "replica")], "given more than once: role"),
        ([("rolle", "primary")], "unknown parameters: rolle; there are role, max_lag, max_age, raw, verbose"),
    ],
)
def test_a_condition_that_is_none(pairs: list[tuple[str, str]], message: str) -> None:
    """A typing error in a load balancer's configuration must not look like a healthy server."""
    with pytest.raises(ValueError, match=message):
        conditions_of(pairs)


@pytest.mark.parametrize(
    ("conditions", "broken"),
    [
        (RequestConditions(), []),
        (RequestConditions(role="replica", max_lag=(4.0, "seconds"), max_age=1.0), []),
        (RequestConditions(max_lag=(16.0 * 2**20, "bytes")), []),
        (RequestConditions(role="primary"), [
            {"code": "limit", "check": "role", "value": "replica", "limit": "primary"}]),
        (RequestConditions(max_lag=(3.0, "seconds")), [
            {"code": "limit", "check": "replicationLag", "value": 4.0, "limit": 3.0, "unit": "seconds"}]),
        (RequestConditions(max_lag=(9.0, "bytes")), [
            {"code": "limit", "check": "replicationLagBytes", "value": 16.0 * 2**20, "limit": 9.0, "unit": "bytes"}]),
        (RequestConditions(max_age=0.5), [
            {"code": "limit", "check": "dataAge", "value": 1.0, "limit": 0.5, "unit": "seconds"}]),
    ],
)  # fmt: skip
def test_a_condition_that_does_not_hold_fails(conditions: RequestConditions, broken: list[dict[str, Any]]) -> None:
    """And it is said which."""
    assert reasons(replica(), conditions) == broken


@pytest.mark.parametrize("events", [[], replica(None), [*replica(), EVENTS.failed_ping(2.0)]])
def test_condition_on_an_unknown_value_is_broken(events: list[Event]) -> None:
    """A replica of unknown lag gets no traffic."""
    assert reasons(events, RequestConditions(max_lag=(60.0, "seconds")))[-1] == {
        "code": "limit", "check": "replicationLag", "value": None, "limit": 60.0, "unit": "seconds"
    }  # fmt: skip


def test_condition_on_a_missing_lag_is_broken() -> None:
    """Not every store has one in bytes."""
    events: list[Event] = [EVENTS.ping(1.0, info()), EVENTS.poll(1.0)]
    [reason] = reasons(events, RequestConditions(max_lag=(1024.0, "bytes")))

    assert (reason["check"], reason["value"]) == ("replicationLagBytes", None)


def test_a_server_that_is_down_has_no_role() -> None:
    """Its last one is not its present one."""
    assert reasons([*replica(), EVENTS.failed_ping(2.0)], RequestConditions(role="replica")) == [
        {"code": "connect", "pending": True}, {"code": "limit", "check": "role", "value": None, "limit": "replica"}
    ]  # fmt: skip


def test_a_lag_that_is_no_time_breaks_max_lag() -> None:
    """Neo4j's transactions and Qdrant's shards behind are no seconds to compare with."""
    rule = HealthRule(check="replicationLag", metric="neo4j_lag_transactions", warn_above=30)
    lag = query("lag", labels=(), metrics=(metric("neo4j_lag_transactions"),), health=rule)
    events: list[Event] = [EVENTS.ping(1.0, info()), EVENTS.result(1.0, lag, [{"bytes": 0.0}]), EVENTS.poll(1.0)]

    assert reasons(events, RequestConditions(max_lag=(10.0, "seconds")))


@pytest.mark.parametrize("changes", [{"required": False}, {"maintenance": True}])
def test_a_target_that_is_down_takes_no_requests(changes: dict[str, bool]) -> None:
    """Required or not, in maintenance or not, matters to the whole; a load balancer asks about this one server."""
    down = health(EVENTS.failed_ping(1.0), EVENTS.poll(1.0), **changes)
    judged = judge(down, RequestConditions(), at(2.0))

    assert (down.counted == "fail", judged.counted) == (False, "fail")
