"""What /health says: states, reasons and checks, in a body whose field names are final."""

import pytest

from exporter import __version__
from exporter.errors import QueryError
from exporter.health.report import report
from exporter.state.events import Event
from tests.support.factories import Events, at, info, monitored_target, query, snapshot
from tests.support.health_events import EVENTS, known_after, target_of, used


def test_the_body() -> None:
    """Every field by name and in order: what people's probes read."""
    bloat = EVENTS.failed_result(1.0, query("bloat"))
    later = [*used(0.91, 2.0, missing=["pg_read_all_stats"]), EVENTS.failed_result(2.0, query("bloat"))]
    body = report(known_after(*used(0.91), bloat, *later), at(4.2))

    assert list(body) == ["status", "serviceId", "version", "releaseId", "time", "notes", "targets", "checks"]
    assert body == {
        "status": "warn",
        "serviceId": "datatier-exporter",
        "version": "1",
        "releaseId": __version__,
        "time": "1970-01-01T00:00:04.200Z",
        "notes": ["orders: degraded, 1 query fails"],
        "targets": {
            "orders": {
                "store": "postgres",
                "state": "degraded",
                "since": "1970-01-01T00:00:01.000Z",
                "required": True,
                "maintenance": False,
                "flapping": False,
                "version": "15.19",
                "role": "primary",
                "data_age_seconds": 2.2,
                "latency_seconds": 0.0014,
                "reasons": [
                    {"code": "limit", "check": "connections", "value": 0.91, "limit": 0.8, "unit": "ratio"},
                    {"code": "limit", "check": "privileges", "value": 1.0, "limit": 0},
                    {"code": "limit", "check": "queries", "value": 1.0, "limit": 0},
                ],
                "missing_privileges": ["pg_read_all_stats"],
                "failing_queries": [{"query": "bloat", "reason": "timeout"}],
            }
        },
        "checks": {
            "orders:responseTime": [
                {
                    "componentId": "orders",
                    "observedValue": 0.0014,
                    "observedUnit": "seconds",
                    "status": "pass",
                    "warnAbove": 0.5,
                    "failAbove": 2.0,
                    "time": "1970-01-01T00:00:02.000Z",
                }
            ],
            "orders:replicationLag": [
                {"componentId": "orders", "status": "unknown", "output": "not_exposed_by_server"}
            ],
            "orders:diskSpace": [{"componentId": "orders", "status": "unknown", "output": "not_exposed_by_server"}],
            "orders:connections": [
                {
                    "componentId": "orders",
                    "observedValue": 0.91,
                    "observedUnit": "ratio",
                    "status": "warn",
                    "warnAbove": 0.8,
                    "failAbove": 0.95,
                    "time": "1970-01-01T00:00:02.000Z",
                }
            ],
            "orders:overrun": [
                {
                    "componentId": "orders",
                    "observedValue": 0.0,
                    "status": "pass",
                    "warnAbove": 0,
                    "time": "1970-01-01T00:00:02.000Z",
                }
            ],
            "orders:privileges": [
                {
                    "componentId": "orders",
                    "observedValue": 1.0,
                    "status": "warn",
                    "warnAbove": 0,
                    "output": "pg_read_all_stats",
                    "time": "1970-01-01T00:00:02.000Z",
                }
            ],
            "orders:queries": [
                {
                    "componentId": "orders",
                    "observedValue": 1.0,
                    "status": "warn",
                    "warnAbove": 0,
                    "output": "bloat (timeout)",
                    "time": "1970-01-01T00:00:02.000Z",
                }
            ],
        },
    }  # fmt: skip


@pytest.mark.parametrize(("required", "status"), [(True, "fail"), (False, "warn")])
def test_health_fails_for_required_targets_only(required: bool, status: str) -> None:  # noqa: FBT001 - a table's column
    """Down is fail or warn; the target itself is down in both."""
    body = report(
        known_after(EVENTS.failed_ping(1.0), EVENTS.poll(1.0), target=monitored_target(required=required)), at(2.0)
    )

    assert (body["status"], body["targets"]["orders"]["state"]) == (status, "down")
    assert body["notes"] == ["orders: down" + ("" if required else ", not required")]


@pytest.mark.parametrize(
    ("polls", "status"), [(used(0.1), "pass"), (used(0.9), "warn"), (used(0.99), "warn"), ([], "warn")]
)
def test_a_target_that_answers_never_fails_the_whole(polls: list[Event], status: str) -> None:
    """A limit, even one for failure, degrades; starting is a warning."""
    assert report(known_after(*polls), at(2.0))["status"] == status


@pytest.mark.parametrize("letters", ["d", "o"])
def test_a_target_in_maintenance_is_shown_and_not_judged(letters: str) -> None:
    """Its state, reasons and metrics stay; the whole is as good as the others; a note names what is left out."""
    both = snapshot(monitored_target("orders", maintenance=True), monitored_target("search"))
    for events, seen in ((Events(monitored_target("orders")), letters), (Events(monitored_target("search")), "o")):
        both.apply(events.ping(1.0) if seen == "o" else events.failed_ping(1.0))
        both.apply(events.poll(1.0))
    body = report(both, at(2.0))
    state = "down" if letters == "d" else "ok"

    assert (body["status"], body["notes"]) == ("pass", [f"orders: {state}, in maintenance"])
    assert (body["targets"]["orders"]["maintenance"], body["targets"]["orders"]["state"]) == (True, state)
    assert body["targets"]["orders"]["reasons"] == ([{"code": "connect"}] if letters == "d" else [])


def test_the_worst_target_is_the_status() -> None:
    """One that fails outweighs one that warns."""
    both = snapshot(monitored_target("orders"), monitored_target("search"))
    for event in (
        *used(0.1),
        Events(monitored_target("search")).failed_ping(1.0),
        Events(monitored_target("search")).poll(1.0),
    ):
        both.apply(event)

    assert report(both, at(2.0))["status"] == "fail"
    assert report(both, at(2.0), ["orders"])["status"] == "pass"
    assert list(report(both, at(2.0), ["orders"])["targets"]) == ["orders"]


def test_a_target_that_was_not_tried_is_starting() -> None:
    """It says neither pass nor down before anything is known, and invents no value."""
    body = report(known_after(), at(2.0))

    assert body["targets"]["orders"] == {
        "store": "postgres", "state": "unknown", "since": "1970-01-01T00:00:00.000Z", "required": True,
        "maintenance": False, "flapping": False, "reasons": [{"code": "starting"}], "missing_privileges": [],
        "failing_queries": [],
    }  # fmt: skip
    assert [check[0]["output"] for check in body["checks"].values()] == [
        "starting", "no_recent_sample", "no_recent_sample"
    ]  # fmt: skip


def test_a_failure_shows_its_reason_at_once() -> None:
    """The state is damped, the reason is not, and says so; what the server said of itself is no longer shown."""
    target = target_of([*used(0.1), EVENTS.failed_ping(2.0, "timeout"), EVENTS.poll(2.0)])

    assert (target["state"], target["reasons"]) == ("ok", [{"code": "timeout", "pending": True}])
    assert not target.keys() & {"version", "role", "latency_seconds"}
    assert target["missing_privileges"] == []


def test_version_without_a_privilege_is_left_out() -> None:
    """Without a privilege MinIO shows no version, and an empty one is left out as well."""
    target = target_of([EVENTS.ping(1.0, info("", role="")), EVENTS.poll(1.0)])

    assert not target.keys() & {"version", "role"}


def test_stale_data_is_unknown() -> None:
    """When the poller is stuck, every state is unknown."""
    body = report(known_after(*used(0.1)), at(100.0))
    target = body["targets"]["orders"]

    assert (body["status"], target["state"], target["reasons"]) == ("warn", "unknown", [{"code": "stale"}])
    assert (target["data_age_seconds"], body["checks"]["orders:responseTime"][0]["output"]) == (99.0, "stale")


def test_a_clock_that_jumps_back_makes_no_negative_age() -> None:
    """Age is at least 0."""
    assert target_of(used(0.1, 50.0), now=20.0)["data_age_seconds"] == 0.0


def test_flapping_is_shown_and_warns() -> None:
    """More than four changes within ten minutes: degraded, whether it is up or down just now."""
    made, bodies = known_after(), []
    for number, seen in enumerate("oddooddooddoodd"):
        now = 15.0 * number
        made.apply(EVENTS.ping(now) if seen == "o" else EVENTS.failed_ping(now))
        made.apply(EVENTS.poll(now))
        bodies.append(report(made, at(now)))
    target = bodies[-1]["targets"]["orders"]

    assert (bodies[0]["targets"]["orders"]["flapping"], target["flapping"]) == (False, True)
    assert (bodies[-1]["status"], target["state"]) == ("warn", "degraded")
    assert target["reasons"] == [{"code": "flapping"}, {"code": "connect", "pending": True}]


def test_no_servers_words_are_in_the_body() -> None:
    """Errors name addresses and users; the log has them, the body has typed reasons."""
    events = [*used(0.1), EVENTS.failed_result(1.0, error=QueryError("query", "no table at db1.example"))]
    bodies = [report(known_after(*events), at(2.0)), report(known_after(*events, EVENTS.failed_ping(2.0)), at(2.0))]

    assert "db1.example" not in str(bodies)
