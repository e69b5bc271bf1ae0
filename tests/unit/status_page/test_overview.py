"""The status page shows what /health reports, and nothing that is secret."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import QueryError, Reason
from exporter.health.report import report
from exporter.logs import visible
from exporter.queries.health_rule import HealthRule
from exporter.state.events import Instant, MonitoredTarget
from exporter.state.snapshot import Snapshot
from exporter.status_page.overview import Overview, overview, refresh_seconds
from exporter.status_page.rendering import render
from tests.support.factories import SIZE_CHECK, Events, at, info, metric, monitored_target, query, snapshot
from tests.support.html_tree import Element, read_html
from tests.support.status_pages import EXPORTER, LONG_AGO

RATIO = query(
    "connections", labels=(), metrics=(metric("pg_used_ratio"),),
    health=HealthRule(check="connections", metric="pg_used_ratio", warn_above=0.8, fail_above=0.9),
)  # fmt: skip
NAMED = query(
    "settings", labels=(), metrics=(), findings="name", health=HealthRule(check="expectedSettings", status="status")
)


class Tier:
    """A snapshot of some targets, each polled three times, and its page."""

    def __init__(self, *targets: MonitoredTarget) -> None:
        self.now = LONG_AGO
        self.snapshot = Snapshot(targets, at(self.now))

    def polls(self, name: str, error: Reason | None = None, seconds: float = 0.0012, **checked: object) -> None:
        """Poll a target three times with the same outcome; `used` and `finding` feed its checks."""
        events = Events(self.snapshot.targets[name])
        for number in range(3):
            now = self.now + 15.0 * number
            if error is None:
                self.snapshot.apply(events.ping(now, info(role="primary"), seconds))
                self.snapshot.apply(events.result(now, RATIO, [{"bytes": checked.get("used", 0.4)}]))
                if "finding" in checked:
                    self.snapshot.apply(events.result(now, NAMED, [{"name": checked["finding"], "status": "warn"}]))
            else:
                self.snapshot.apply(events.failed_ping(now, error))
            self.snapshot.apply(events.poll(now))

    def text(self, after: float = 45.0) -> str:
        page = page_of(self.snapshot, at(self.now + after))
        return bytes(render("overview.html", page=page, exporter=EXPORTER).body).decode()

    def page(self, after: float = 45.0) -> Element:
        return read_html(self.text(after))


def page_of(seen: Snapshot, now: Instant) -> Overview:
    return overview(report(seen, now), refresh_seconds(seen.targets.values()), now)


def rows(page: Element) -> list[str]:
    return [row.text for row in page.all("tr")[1:]]


def test_all_is_fine() -> None:
    """In the title, too: a browser's tab is often all one sees."""
    tier = Tier(monitored_target("orders"), monitored_target("invoices", required=False))
    tier.polls("orders")
    tier.polls("invoices")
    page = tier.page()

    assert page.one("h1").text == "All 2 targets are fine"
    assert page.one("title").text == "All 2 targets are fine | datatier-exporter"
    assert [tile.text for tile in page.one("ul", **{"class": "tiles"}).all("li")] == [
        "invoices 1.2 ms ok 45 s · postgres 15.4 · primary",
        "orders 1.2 ms ok 45 s · postgres 15.4 · primary",
    ]
    assert page.all("table") == []


def test_the_worst_comes_first_and_says_why() -> None:
    """With a value against its limit, since when, and whether it matters to /health."""
    tier = Tier(*map(monitored_target, ("a", "b", "c")), monitored_target("d", required=False), monitored_target("e"))
    tier.polls("a")
    tier.polls("b", used=0.91)
    tier.polls("c", "connect")
    tier.polls("d", "auth")
    tier.polls("e", finding="wal_level")
    page = tier.page()

    assert page.one("h1").text == "2 of 5 targets are down: c, d"
    assert page.one("header").all("p")[-1].text == "2 down, 2 degraded, 1 ok. /health says fail (503)."
    assert rows(page) == [
        "c postgres down for 45 s since 13:46 UTC no connection",
        "d postgres · not required down for 45 s since 13:46 UTC login refused",
        "b postgres 15.4 · primary degraded for 45 s since 13:46 UTC connections 91 %, limit 90 %",
        "e postgres 15.4 · primary degraded for 45 s since 13:46 UTC expected settings: wal_level",
    ]


def test_times_are_exact_for_who_asks() -> None:
    """In the title of each, and for machines; of another day than today it is the date that counts."""
    tier = Tier(monitored_target())
    tier.polls("orders", "connect")
    [since] = {
        element.attributes["datetime"]: element for element in tier.page(200_000.0).one("table").all("time")
    }.values()

    assert since.attributes == {"datetime": "1970-01-12T13:47:10Z", "title": "1970-01-12 13:47:10 UTC"}
    assert since.text == "2 d 7 h"
    assert "since 1970-01-12" in tier.page(200_000.0).one("table").text


@pytest.mark.parametrize(
    ("states", "headline"),
    [
        ([], "No target is configured"),
        (["ok"], "a is fine"),
        (["down"], "a is down"),
        (["new"], "a is unknown"),
        (["away"], "Every target is in maintenance"),
        (["ok", "away"], "a is fine"),
        (["ok", "ok", "away"], "All 2 targets are fine"),
        (["down", "ok", "away"], "1 of 2 targets is down: a"),
        (["new", "ok", "ok"], "1 of 3 targets is unknown: a"),
        (["down"] * 5, "5 of 5 targets are down: a, b, c and 2 more"),
    ],
)
def test_the_headline(states: Sequence[str], headline: str) -> None:
    """What is in maintenance counts for nothing."""
    names = "abcde"[: len(states)]
    tier = Tier(
        *(monitored_target(name, maintenance=state == "away") for name, state in zip(names, states, strict=True))
    )
    for name, state in zip(names, states, strict=True):
        if state != "new":
            tier.polls(name, "connect" if state in ("down", "away") else None)

    assert tier.page().one("h1").text == headline


def test_overview_shows_the_first_failure_at_once() -> None:
    """Although the state, which is damped, stays ok until the second."""
    tier = Tier(monitored_target())
    tier.polls("orders")
    events = Events()
    tier.snapshot.apply(events.failed_ping(tier.now + 45, "timeout"))
    tier.snapshot.apply(events.poll(tier.now + 45))
    page = tier.page(46.0)

    assert page.one("h1").text == "orders is fine"
    assert page.all("table") == []
    assert page.one("li").text.endswith("at the last poll: no answer in time")


def test_a_state_that_is_held_says_so() -> None:
    """A poll alone ends nothing."""
    tier = Tier(monitored_target())
    tier.polls("orders", "connect")
    events = Events()
    tier.snapshot.apply(events.ping(tier.now + 45))
    tier.snapshot.apply(events.poll(tier.now + 45))

    assert rows(tier.page(46.0))[0].endswith("answers again since 13:47 UTC, was: no connection")


def test_flapping_says_so() -> None:
    tier = Tier(monitored_target())
    events = Events()
    for number in range(24):
        now = tier.now + 15.0 * number
        down = number // 2 % 2
        tier.snapshot.apply(events.failed_ping(now) if down else events.ping(now))
        tier.snapshot.apply(events.poll(now))
    page = tier.page(15.0 * 26)

    assert "flapping" in rows(page)[0]


def test_overview_shows_a_local_fault_above_all() -> None:
    """In /health's words, above everything else."""
    tier = Tier(monitored_target(), monitored_target("invoices"))
    for name in tier.snapshot.targets:
        events = Events(tier.snapshot.targets[name])
        for number in range(3):
            tier.snapshot.apply(replace(events.failed_ping(tier.now + 15 * number), fault="dns"))
            tier.snapshot.apply(events.poll(tier.now + 15 * number))
    page = tier.page()
    [note] = page.one("header").all("p", **{"class": "note"})

    assert note.text.startswith("the exporter's machine gets no answer from a name server: ")
    assert rows(page)[0].endswith("no connection: the exporter's machine gets no answer from a name server")


def test_maintenance_is_said_beside_the_state() -> None:
    tier = Tier(monitored_target(maintenance=True))
    tier.polls("orders", "connect")

    assert rows(tier.page()) == ["orders postgres maintenance , down for 45 s since 13:46 UTC no connection"]


def test_a_page_never_disagrees_with_health() -> None:
    """Also after its poller stopped: a target without polls for minutes is not fine."""
    tier = Tier(monitored_target())
    tier.polls("orders")
    late = 500.0
    body = report(tier.snapshot, at(tier.now + late))

    assert (body["status"], body["targets"]["orders"]["state"]) == ("warn", "unknown")
    assert tier.page(late).one("h1").text == "orders is unknown"
    assert "not asked for too long" in tier.page(late).one("table").text


def test_overview_shows_failing_queries_of_a_target_that_is_ok() -> None:
    tier = Tier(monitored_target())
    tier.polls("orders")
    events = Events()
    for name in ("a", "b", "c", "d"):
        tier.snapshot.apply(events.failed_result(tier.now + 30, query(name)))

    assert tier.page().one("li").text.endswith("4 queries fail (no answer in time): a, b, c and 1 more")


@pytest.mark.parametrize(("used", "seconds"), [(0.5, 0.001), (0.95, 0.7)])
def test_fifty_targets_are_under_50_kb(used: float, seconds: float) -> None:
    """The bad day, too: each with more reasons, findings and failing queries than are shown."""
    names = [f"a-rather-long-name-of-a-target-{number:02}" for number in range(50)]
    tier = Tier(*map(monitored_target, names))
    for name in names:
        tier.polls(name, seconds=seconds, used=used, finding="x" * 400)
        events = Events(tier.snapshot.targets[name])
        for number in range(20):
            row = [{"datname": "app", "bytes": 15.0}]
            tier.snapshot.apply(events.result(tier.now + 30, SIZE_CHECK.model_copy(update={"name": f"s{number}"}), row))
            tier.snapshot.apply(events.failed_result(tier.now + 30, query(f"failing_query_{number}")))

    assert len(tier.text().encode()) < 50_000


MARKUP = st.sampled_from(['"><script>alert(1)</script>', "</title><b>", "{{ 7*7 }}", "&amp;", "'\"`<!--"])
WRITTEN = MARKUP | st.text(min_size=1, max_size=40)  # in a file, which is UTF-8
SENT = WRITTEN | st.text(st.characters(exclude_categories=()), max_size=40)  # by a server: half a surrogate, too


@settings(max_examples=60)
@given(name=WRITTEN, finding=SENT, check=WRITTEN)
def test_whatever_it_is_called_it_stays_text(name: str, finding: str, check: str) -> None:
    """Names of targets, checks, and what was found are escaped; the page stays whole."""
    asked = NAMED.model_copy(update={"health": HealthRule(check=check, status="status")})
    target, plain = monitored_target(name), snapshot(monitored_target(name))
    events = Events(target)
    for now in (15.0, 30.0, 45.0):
        plain.apply(events.ping(now))
        plain.apply(events.result(now, asked, [{"name": finding, "status": "fail"}]))
        plain.apply(events.poll(now))
    text = bytes(render("overview.html", page=page_of(plain, at(46.0)), exporter=EXPORTER).body).decode()

    page = read_html(text)
    [link] = page.one("table").all("a")
    assert {element.tag for element in page.one("table").inside()} <= TAGS
    assert link.text == " ".join(visible(name, "\n\t").split())
    assert all(sign.isprintable() for sign in text if sign not in "\n\t")
    assert "<script>alert" not in text


TAGS = {"thead", "tbody", "tr", "th", "td", "a", "br", "small", "span", "time", "ul", "li", "p"}


def test_overview_shows_no_message_of_a_server() -> None:
    """Its words may hold an address or a user."""
    tier = Tier(monitored_target())
    tier.polls("orders", "connect")
    assert "db1.example" not in tier.text()

    tier.polls("orders")
    tier.snapshot.apply(Events().failed_result(tier.now + 30, error=QueryError("query", "no table at db1.example")))
    assert "db1.example" not in tier.text()


@pytest.mark.parametrize(
    ("intervals", "seconds"), [((), 60), ((15.0, 30.0), 15), ((0.2,), 5), ((3600.0,), 60), ((7.6, 9.0), 8)]
)
def test_overview_reloads_at_the_poll_interval(intervals: Sequence[float], seconds: int) -> None:
    """Without scripts, too."""
    targets = [monitored_target(str(number), interval=interval) for number, interval in enumerate(intervals)]
    tier = Tier(*targets)

    assert refresh_seconds(targets) == seconds
    assert tier.page().one("noscript").one("meta").attributes == {"http-equiv": "refresh", "content": str(seconds)}
