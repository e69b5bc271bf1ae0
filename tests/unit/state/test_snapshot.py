"""What the snapshot serves, and how a target's state follows what its polls see."""

import math
from dataclasses import replace

import pytest

from exporter.errors import QueryError, Reason
from exporter.queries.query import Query
from exporter.state.events import Event, Result, fresh_seconds
from tests.support.factories import EVERY, Events, Scenario, at, info, metric, monitored_target, query, snapshot

BACKUPS = query(
    "dumps",
    labels=("check",),
    metrics=(metric("datatier_backups", value="backups"), metric("pg_dump_bytes", value="bytes")),
)
DUMP = {"check": "nightly", "backups": 3.0, "bytes": 7.0}


def test_series_vanish_at_the_first_failed_ping() -> None:
    """The state may be damped; numbers of a server that does not answer are not served."""
    scenario = Scenario()
    scenario.poll("o")
    assert scenario.served() == ["pg_size_bytes"]

    assert scenario.poll("d") == "ok"
    assert (scenario.served(), scenario.snapshot.up("orders", scenario.now)) == ([], False)


def test_other_targets_are_untouched() -> None:
    """One store's failure is its own."""
    orders, search = Events(monitored_target("orders")), Events(monitored_target("search"))
    both = snapshot(orders.target, search.target)
    for events in (orders, search):
        both.apply(events.ping(1.0))
        both.apply(events.result(1.0))
        both.apply(events.poll(1.0))
    both.apply(orders.failed_ping(2.0))

    assert (len(both.fresh_results("orders", 2.0)), len(both.fresh_results("search", 2.0))) == (0, 1)
    assert (both.up("orders", 2.0), both.up("search", 2.0)) == (False, True)


def test_a_failed_query_takes_only_its_own_series() -> None:
    scenario = Scenario()
    scenario.snapshot.apply(scenario.events.ping(1.0))
    other = query("other", metrics=(metric("pg_other_bytes"),))
    scenario.snapshot.apply(scenario.events.result(1.0))
    scenario.snapshot.apply(scenario.events.result(1.0, other))
    scenario.snapshot.apply(scenario.events.failed_result(2.0))

    assert scenario.served() == ["pg_other_bytes"]


def test_a_result_expires_by_itself() -> None:
    """Even when nothing is published any more."""
    scenario = Scenario()
    scenario.poll("o")
    until = EVERY + fresh_seconds(EVERY)

    assert len(scenario.snapshot.fresh_results("orders", until - 0.1)) == 1
    assert len(scenario.snapshot.fresh_results("orders", until)) == 0
    assert scenario.snapshot.next_expiry(EVERY, "orders") == until


def test_a_stalled_poller_looks_like_no_live_server() -> None:
    """Its target is not up, its state unknown, and it counts as stalled."""
    scenario = Scenario()
    scenario.poll("o")
    until = EVERY + fresh_seconds(EVERY)

    assert (scenario.snapshot.up("orders", until), scenario.snapshot.state("orders", until)) == (False, "unknown")
    assert scenario.snapshot.stalled_targets(until + EVERY) == []
    assert scenario.snapshot.stalled_targets(until + EVERY + 0.1) == ["orders"]


def test_a_seldom_asked_query_stays_fresh_longer() -> None:
    """Its series are served until two and a half of its own intervals are over."""
    scenario = Scenario()
    scenario.snapshot.apply(scenario.events.result(0.0, query(interval="1h")))
    scenario.snapshot.apply(scenario.events.ping(8999.0))

    assert len(scenario.snapshot.fresh_results("orders", 8999.0)) == 1
    assert len(scenario.snapshot.fresh_results("orders", 9000.0)) == 0


def facts_after(*events: Event) -> list[str]:
    """Return what is served after a good ping and dumps, then these events."""
    scenario = Scenario()
    scenario.snapshot.apply(scenario.events.ping(1.0))
    scenario.snapshot.apply(scenario.events.result(1.0, BACKUPS, [DUMP]))
    for event in events:
        scenario.snapshot.apply(event)
    scenario.now = 2.0
    return scenario.served()


def test_facts_about_backups_outlive_their_target() -> None:
    """A dump does not vanish with the server it was made of; what else its query said does."""
    events = Events()

    assert facts_after() == ["datatier_backups", "pg_dump_bytes"]
    assert facts_after(events.failed_ping(2.0)) == ["datatier_backups"]
    assert facts_after(events.failed_ping(2.0), events.failed_ping(2.0), events.ping(2.0)) == ["datatier_backups"]


def test_facts_of_another_server_end_with_a_ping_of_this_one() -> None:
    events = Events()

    assert facts_after(events.ping(2.0, info(identity="other"))) == ["datatier_backups"]
    assert facts_after(events.ping(2.0, info(role="replica"))) == ["datatier_backups", "pg_dump_bytes"]


@pytest.mark.parametrize(
    ("reason", "facts"),
    [("connect", ["datatier_backups"]), ("timeout", ["datatier_backups"]), ("auth", ["datatier_backups"]),
     ("query", []), ("decode", []), ("unsupported", [])],
)  # fmt: skip
def test_facts_survive_a_query_that_could_not_ask(reason: Reason, facts: list[str]) -> None:
    """Their query often fails before the ping does; a query that is wrong says nothing, though."""
    failed = Events().failed_result(2.0, BACKUPS, QueryError(reason, "no"))

    assert facts_after(failed) == facts
    assert facts_after(failed, Events().failed_ping(2.0)) == facts


def test_the_last_success_of_a_query_stays() -> None:
    """It shows how long the query has been failing."""
    scenario = Scenario()
    scenario.poll("o")
    scenario.snapshot.apply(scenario.events.failed_result(20.0))
    scenario.poll("d")

    assert scenario.snapshot.counters["orders"].succeeded_at == {"sizes": EVERY}


def test_dropped_series_are_counted_from_zero() -> None:
    """A counter that begins with its first event would hide it."""
    scenario = Scenario()
    dropped = scenario.snapshot.counters["orders"].dropped
    scenario.poll("o")
    assert dropped == {("sizes", "decode"): 0, ("sizes", "limit"): 0}

    for _ in range(2):
        scenario.snapshot.apply(scenario.events.failed_result(1.0, error=QueryError("limit", "too many", 40)))
    assert dropped == {("sizes", "decode"): 0, ("sizes", "limit"): 80}


@pytest.mark.parametrize(("error", "count"), [(None, 1), ("timeout", 1), ("query", 0), ("connect", 0)])
def test_a_canary_times_what_the_server_took(error: Reason | None, count: int) -> None:
    """An answer and a time-out have a duration; a refusal says nothing about speed."""
    scenario, canary = Scenario(), query(timing=True)
    result = scenario.events.result(1.0, canary)
    failed = scenario.events.failed_result(1.0, canary, error and QueryError(error, "no"))
    scenario.snapshot.apply(failed if error else result)

    buckets = scenario.snapshot.counters["orders"].timings["sizes"].value().buckets
    assert buckets[-1][1] == count


def test_queries_without_timing_are_not_timed() -> None:
    scenario = Scenario()
    scenario.poll("o")

    assert scenario.snapshot.counters["orders"].timings == {}


def test_failed_pings_are_not_timed() -> None:
    """What failed in no time is not fast."""
    scenario = Scenario()
    for seen in "od":
        scenario.poll(seen)

    assert scenario.snapshot.counters["orders"].probes.value().buckets[-1][1] == 1


def test_unknown_databases_fail_a_query_until_they_are_known() -> None:
    """A query that could not even begin is one failure; its first result in a database takes its place."""
    scenario, asked = Scenario(), query(labels=("schemaname",), scope="database")
    scenario.snapshot.apply(scenario.events.ping(1.0))
    scenario.snapshot.apply(scenario.events.failed_result(1.0, asked))
    assert [result.database for result in scenario.snapshot.fresh_results("orders", 1.0)] == [None]

    for database in ("app", "log"):
        scenario.snapshot.apply(in_database(scenario.events, asked, database))
    assert [result.database for result in scenario.snapshot.fresh_results("orders", 1.0)] == ["app", "log"]


def in_database(events: Events, asked: Query, database: str) -> Result:
    result = events.result(1.0, asked, [])
    return Result(result.target, asked, database, 1.0, result.fresh_until, 0.1)


def test_expired_results_are_dropped() -> None:
    """Databases come and go, and a process runs for months."""
    scenario, asked = Scenario(), query(labels=("schemaname",), scope="database")
    scenario.snapshot.apply(in_database(scenario.events, asked, "dropped"))
    scenario.snapshot.apply(scenario.events.ping(38.0))
    assert len(scenario.snapshot.results["orders"]) == 1

    scenario.snapshot.apply(scenario.events.ping(39.0))
    assert scenario.snapshot.results["orders"] == {}


def test_every_event_makes_a_new_version() -> None:
    """Pages are made anew when it changed."""
    scenario = Scenario()
    before = scenario.snapshot.version
    scenario.poll("o")

    assert scenario.snapshot.version == before + 3


def test_a_target_that_is_forgotten_leaves_nothing() -> None:
    """And may leave the others blind, whose parts of the page are other ones then."""
    seen = snapshot(monitored_target("orders"), monitored_target("invoices"))
    seen.apply(Events(monitored_target("orders")).ping(1.0))
    seen.apply(Events(monitored_target("orders")).result(1.0))
    seen.apply(Events(monitored_target("invoices")).failed_ping(1.0, fault="network"))
    version = seen.changed["invoices"]
    assert not seen.all_unreachable_locally

    seen.forget("orders")
    known = (seen.targets, seen.status, seen.results, seen.counters, seen.changed)
    assert [list(names) for names in known] == [["invoices"]] * 5
    assert seen.all_unreachable_locally
    assert seen.changed["invoices"] > version

    seen.watch(monitored_target("parcels"), at(2.0))
    assert not seen.all_unreachable_locally


def test_a_target_is_watched_otherwise_without_losing_what_is_known() -> None:
    scenario = Scenario()
    scenario.poll("o")
    status = scenario.snapshot.status["orders"]
    scenario.snapshot.watch(monitored_target("orders", required=False, maintenance=True), at(scenario.now))

    assert scenario.snapshot.status["orders"] is status
    assert scenario.snapshot.targets["orders"].maintenance
    assert scenario.served() == ["pg_size_bytes"]


def test_results_of_queries_that_are_not_retained_are_dropped() -> None:
    """Another query of the same name is another query."""
    seen, events = snapshot(), Events()
    kept, gone, changed = query("kept"), query("gone", timing=True), query("changed")
    seen.apply(events.ping(1.0))
    for asked in (kept, gone, changed):
        seen.apply(events.result(1.0, asked))
    periods = {asked.name: 60.0 for asked in (kept, gone, changed)}
    seen.apply(replace(events.poll(1.0), periods=periods, overruns=periods))
    seen.keep_queries("orders", [kept, query("changed", timeout="1s")])

    assert [result.query for result in seen.fresh_results("orders", 2.0)] == [kept]
    counters = seen.counters["orders"]
    assert set(counters.succeeded_at) == {"kept", "changed"}
    assert {*seen.status["orders"].periods} == {*seen.status["orders"].overruns} == {"kept", "changed"}
    assert "gone" not in {name for name, _ in counters.dropped} | counters.timings.keys()


def test_expired_target_has_no_next_expiry() -> None:
    """The target is unknown from then on, until it is polled again."""
    assert snapshot().next_expiry(fresh_seconds(EVERY), "orders") == math.inf
