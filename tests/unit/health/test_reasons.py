"""A target's state and its reasons never contradict each other, whatever the polls saw, at any moment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import Reason
from exporter.health.rendered import RenderedHealth
from exporter.health.report import HealthReport, report
from exporter.health.target_health import target_health
from exporter.state.local_fault import LocalFault
from exporter.state.snapshot import Snapshot
from exporter.status_page.overview import overview
from tests.support.factories import SIZE_CHECK, Scenario, at, info, monitored_target, query
from tests.support.health_events import EVENTS, known_after, unexplained

SHORT, LONG = SIZE_CHECK, SIZE_CHECK.model_copy(update={"name": "long", "interval": 300.0})
PINGS = st.sampled_from(["ok", "ok", "slow", "blind", "connect", "auth", "timeout", "resources", "dns"])
ANSWERS = st.lists(st.tuples(st.sampled_from([SHORT, LONG]), st.sampled_from([5.0, 15.0, None])), max_size=3)
PAUSES = st.sampled_from([0.0, 15.0, 15.0, 15.0, 40.0, 200.0])
HISTORIES = st.lists(st.tuples(PAUSES, PINGS, ANSWERS, st.booleans(), ANSWERS), min_size=1, max_size=25)
FAULTS: dict[str, LocalFault] = {"resources": "resources", "dns": "dns"}


def ping(made: Snapshot, seen: str, now: float) -> None:
    if seen in ("ok", "slow", "blind"):
        missing = {"pg_monitor": "GRANT"} if seen == "blind" else {}
        made.apply(EVENTS.ping(now, info(missing_privileges=missing), 0.7 if seen == "slow" else 0.001))
        return
    reasons: dict[str, Reason] = {"auth": "auth", "timeout": "timeout"}
    made.apply(EVENTS.failed_ping(now, reasons.get(seen, "connect"), FAULTS.get(seen)))


def answer(made: Snapshot, answers: list[tuple[object, float | None]], now: float) -> None:
    for asked, value in answers:
        if value is None:
            made.apply(EVENTS.failed_result(now, asked))  # type: ignore[arg-type]
        else:
            made.apply(EVENTS.result(now, asked, [{"datname": "app", "bytes": value}]))  # type: ignore[arg-type]


def agree(made: Snapshot, now: float) -> None:
    body = report(made, at(now))
    for name, target in body["targets"].items():
        part = RenderedHealth.of(target_health(made, name, at(now), raw=True))
        raw = HealthReport(made, [part], at(now)).body()["targets"][name]
        page = overview(body, 15, at(now))
        bad = [view.name for view in page.troubled]

        assert unexplained(target) is None
        assert unexplained(raw) is None
        assert not any(reason.get("pending") for reason in raw["reasons"] if raw["state"] != "unknown")
        assert (name in bad) == (target["state"] != "ok")
        assert page.headline.startswith(f"{name} is {'fine' if target['state'] == 'ok' else target['state']}")
        assert body["status"] == {"ok": "pass", "down": "fail"}.get(target["state"], "warn")


@settings(max_examples=150, deadline=None)
@given(HISTORIES)
def test_state_and_reasons_agree_at_every_moment(history: list[tuple[float, str, list, bool, list]]) -> None:  # type: ignore[type-arg]
    """Between a ping and the end of its poll, after a late result, when a verdict expired, while nothing is polled."""
    made, now = known_after(), 0.0
    agree(made, now)
    for pause, seen, during, ends, after in history:
        now += pause
        agree(made, now)
        ping(made, seen, now)
        agree(made, now)
        if seen in ("ok", "slow", "blind"):
            answer(made, during, now)
            agree(made, now)
        if ends:
            made.apply(EVENTS.poll(now))
            agree(made, now)
        if made.up("orders", now):
            answer(made, after, now)
            agree(made, now)


@pytest.mark.parametrize(
    ("polls", "state", "reasons"),
    [
        ("od", "ok", [{"code": "connect", "pending": True}]),
        ("ow", "ok", [
            {"code": "limit", "check": "size", "value": 15.0, "limit": 10.0, "unit": "bytes", "pending": True},
        ]),
        ("dds", "down", [
            {"code": "held", "was": "connect", "since": "1970-01-01T00:00:45.000Z"},
            {"code": "limit", "check": "responseTime", "value": 0.7, "limit": 0.5, "unit": "seconds", "pending": True},
        ]),
        ("ddo", "down", [{"code": "held", "was": "connect", "since": "1970-01-01T00:00:45.000Z"}]),
        ("wwo", "degraded", [{"code": "held", "was": "limit", "check": "size", "since": "1970-01-01T00:00:45.000Z"}]),
        ("wwd", "degraded", [
            {"code": "held", "was": "limit", "check": "size", "since": "1970-01-01T00:00:45.000Z"},
            {"code": "connect", "pending": True},
        ]),
        ("owd", "degraded", [
            {"code": "held", "was": "limit", "check": "size", "since": "1970-01-01T00:00:45.000Z"},
            {"code": "connect", "pending": True},
        ]),
        ("wdd", "down", [{"code": "connect"}]),
    ],
)  # fmt: skip
def test_reason_that_the_state_does_not_follow_is_pending(polls: str, state: str, reasons: list[object]) -> None:
    """A reason that is pending is not why the state is as it is; while it is held, it is said what it was."""
    scenario = Scenario()
    for seen in polls:
        scenario.poll(seen)
    target = report(scenario.snapshot, at(scenario.now))["targets"]["orders"]

    assert (target["state"], target["reasons"]) == (state, reasons)


def test_a_verdict_that_expired_keeps_nothing_degraded() -> None:
    """A query that is asked no more cannot be why: there was a state with no reason."""
    made = known_after()
    for number in range(8):
        now = 15.0 * number
        made.apply(EVENTS.ping(now))
        if number < 2:
            made.apply(EVENTS.result(now, SHORT, [{"datname": "app", "bytes": 15.0}]))
        made.apply(EVENTS.poll(now))
        target = report(made, at(now))["targets"]["orders"]
        assert unexplained(target) is None

    assert (target["state"], target["reasons"]) == ("ok", [])


def test_the_page_says_it_in_words() -> None:
    """Not "down: response time 700 ms", which no server is."""
    scenario = Scenario()
    for seen in "dds":
        scenario.poll(seen)
    page = overview(report(scenario.snapshot, at(scenario.now)), 15, at(scenario.now))

    assert [reason.what for reason in page.troubled[0].reasons] == [
        "answers again since 00:00 UTC, was: no connection", "at the last poll: response time"
    ]  # fmt: skip


def test_the_headline_tells_of_queries_that_fail() -> None:
    """Whether the target is degraded for them or not."""
    made = known_after(target=monitored_target())
    made.apply(EVENTS.ping(1.0))
    made.apply(EVENTS.poll(1.0))
    made.apply(EVENTS.failed_result(1.5, query("a", untrusted=True)))
    assert overview(report(made, at(2.0)), 15, at(2.0)).headline == "orders is fine, but 1 query fails"

    for number in range(3):
        made.apply(EVENTS.failed_result(2.0 + number, query("b")))
        made.apply(EVENTS.ping(2.0 + number))
        made.apply(EVENTS.poll(2.0 + number))
    assert overview(report(made, at(5.0)), 15, at(5.0)).headline == "orders is degraded; 2 queries fail"
