"""What the snapshot serves, and how a target's state follows what its polls see."""

import math

import pytest

from exporter.errors import QueryError, Reason
from exporter.queries.query import Query
from exporter.state.events import Event, Result, fresh_seconds
from exporter.state.snapshot import Snapshot
from tests.support.factories import EVERY, Events, Story, at, info, metric, monitored_target, query, snapshot

BACKUPS = query(
    "dumps",
    labels=("check",),
    metrics=(metric("datatier_backups", value="backups"), metric("pg_dump_bytes", value="bytes")),
)
DUMP = {"check": "nightly", "backups": 3.0, "bytes": 7.0}


def test_series_vanish_at_the_first_failed_ping() -> None:
    """The state may be damped; numbers of a server that does not answer are not served."""
    story = Story()
    story.poll("o")
    assert story.served() == ["pg_size_bytes"]

    assert story.poll("d") == "ok"
    assert (story.served(), story.snapshot.up("orders", story.now)) == ([], False)


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
    story = Story()
    story.snapshot.apply(story.events.ping(1.0))
    other = query("other", metrics=(metric("pg_other_bytes"),))
    story.snapshot.apply(story.events.result(1.0))
    story.snapshot.apply(story.events.result(1.0, other))
    story.snapshot.apply(story.events.failed_result(2.0))

    assert story.served() == ["pg_other_bytes"]


def test_a_result_expires_by_itself() -> None:
    """Even when nobody publishes anything any more."""
    story = Story()
    story.poll("o")
    until = EVERY + fresh_seconds(EVERY)

    assert len(story.snapshot.fresh_results("orders", until - 0.1)) == 1
    assert len(story.snapshot.fresh_results("orders", until)) == 0
    assert story.snapshot.next_expiry(EVERY) == until


def test_a_wedged_poller_looks_like_no_live_server() -> None:
    """Its target is not up and its state unknown; and somebody is told."""
    story = Story()
    story.poll("o")
    until = EVERY + fresh_seconds(EVERY)

    assert (story.snapshot.up("orders", until), story.snapshot.state("orders", until)) == (False, "unknown")
    assert story.snapshot.stalled_targets(until + EVERY) == []
    assert story.snapshot.stalled_targets(until + EVERY + 0.1) == ["orders"]


def test_a_seldom_asked_query_stays_fresh_longer() -> None:
    """Its series are served until two and a half of its own intervals are over."""
    story = Story()
    story.snapshot.apply(story.events.result(0.0, query(interval="1h")))
    story.snapshot.apply(story.events.ping(8999.0))

    assert len(story.snapshot.fresh_results("orders", 8999.0)) == 1
    assert len(story.snapshot.fresh_results("orders", 9000.0)) == 0


def facts_after(*events: Event) -> list[str]:
    """Return what is served after a good ping and dumps, then these events."""
    story = Story()
    story.snapshot.apply(story.events.ping(1.0))
    story.snapshot.apply(story.events.result(1.0, BACKUPS, [DUMP]))
    for event in events:
        story.snapshot.apply(event)
    story.now = 2.0
    return story.served()


def test_facts_about_backups_outlive_their_target() -> None:
    """A dump does not vanish with the server it was made of; what else its query said does."""
    events = Events()

    assert facts_after() == ["datatier_backups", "pg_dump_bytes"]
    assert facts_after(events.failed_ping(2.0)) == ["datatier_backups"]
    assert facts_after(events.failed_ping(2.0), events.failed_ping(2.0), events.ping(2.0)) == ["datatier_backups"]


def test_what_another_server_told_goes_when_a_ping_meets_this_one() -> None:
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
    """For who wants to know how long it has been failing."""
    story = Story()
    story.poll("o")
    story.snapshot.apply(story.events.failed_result(20.0))
    story.poll("d")

    assert story.snapshot.counters["orders"].succeeded_at == {"sizes": EVERY}


def test_dropped_series_are_counted_from_zero() -> None:
    """A counter that begins with its first event would hide it."""
    story = Story()
    dropped = story.snapshot.counters["orders"].dropped
    story.poll("o")
    assert dropped == {("sizes", "decode"): 0, ("sizes", "limit"): 0}

    for _ in range(2):
        story.snapshot.apply(story.events.failed_result(1.0, error=QueryError("limit", "too many", 40)))
    assert dropped == {("sizes", "decode"): 0, ("sizes", "limit"): 80}


@pytest.mark.parametrize(("error", "count"), [(None, 1), ("timeout", 1), ("query", 0), ("connect", 0)])
def test_a_canary_times_what_the_server_took(error: Reason | None, count: int) -> None:
    """An answer and a time-out have a duration; a refusal says nothing about speed."""
    story, canary = Story(), query(timing=True)
    result = story.events.result(1.0, canary)
    failed = story.events.failed_result(1.0, canary, error and QueryError(error, "no"))
    story.snapshot.apply(failed if error else result)

    buckets = story.snapshot.counters["orders"].timings["sizes"].value().buckets
    assert buckets[-1][1] == count


def test_only_canaries_are_timed() -> None:
    story = Story()
    story.poll("o")

    assert story.snapshot.counters["orders"].timings == {}


def test_only_answered_pings_are_timed() -> None:
    """What failed in no time is not fast."""
    story = Story()
    for seen in "od":
        story.poll(seen)

    assert story.snapshot.counters["orders"].probes.value().buckets[-1][1] == 1


def test_unknown_databases_fail_a_query_until_they_are_known() -> None:
    """A query that could not even begin is one failure; its first result in a database takes its place."""
    story, asked = Story(), query(labels=("schemaname",), scope="database")
    story.snapshot.apply(story.events.ping(1.0))
    story.snapshot.apply(story.events.failed_result(1.0, asked))
    assert [result.database for result in story.snapshot.fresh_results("orders", 1.0)] == [None]

    for database in ("app", "log"):
        story.snapshot.apply(in_database(story.events, asked, database))
    assert [result.database for result in story.snapshot.fresh_results("orders", 1.0)] == ["app", "log"]


def in_database(events: Events, asked: Query, database: str) -> Result:
    result = events.result(1.0, asked, [])
    return Result(result.target, asked, database, 1.0, result.fresh_until, 0.1)


def test_what_expired_is_not_kept_for_ever() -> None:
    """Databases come and go, and a process runs for months."""
    story, asked = Story(), query(labels=("schemaname",), scope="database")
    story.snapshot.apply(in_database(story.events, asked, "dropped"))
    story.snapshot.apply(story.events.ping(38.0))
    assert len(story.snapshot.results["orders"]) == 1

    story.snapshot.apply(story.events.ping(39.0))
    assert story.snapshot.results["orders"] == {}


def test_every_event_makes_a_new_version() -> None:
    """Pages are made anew when it changed."""
    story = Story()
    before = story.snapshot.version
    story.poll("o")

    assert story.snapshot.version == before + 3


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
    story = Story()
    story.poll("o")
    status = story.snapshot.status["orders"]
    story.snapshot.watch(monitored_target("orders", required=False, maintenance=True), at(story.now))

    assert story.snapshot.status["orders"] is status
    assert story.snapshot.targets["orders"].maintenance
    assert story.served() == ["pg_size_bytes"]


def test_only_retained_queries_are_still_told_of() -> None:
    """Another query of the same name is another query."""
    seen, events = snapshot(), Events()
    kept, gone, changed = query("kept"), query("gone", timing=True), query("changed")
    seen.apply(events.ping(1.0))
    for asked in (kept, gone, changed):
        seen.apply(events.result(1.0, asked))
    seen.keep_queries("orders", [kept, query("changed", timeout="1s")])

    assert [result.query for result in seen.fresh_results("orders", 2.0)] == [kept]
    counters = seen.counters["orders"]
    assert set(counters.succeeded_at) == {"kept", "changed"}
    assert "gone" not in {name for name, _ in counters.dropped} | counters.timings.keys()


def test_a_snapshot_without_results_never_expires_by_them() -> None:
    assert Snapshot([], at(0.0)).next_expiry(0.0) == math.inf
