"""What we write, Prometheus' own libraries read back identically."""

import gc
import math
import weakref
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import QueryError
from exporter.exposition.page import Exposition, Page, TargetFragment
from exporter.exposition.text_format import Format, head, render_sample
from exporter.queries.health_rule import HealthRule
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Metric, Query, Row
from exporter.state.snapshot import Snapshot
from tests.support.factories import Events, at, info, metric, monitored_target, query
from tests.support.pages import Pages, Series, series_of
from tests.support.paths import GOLDEN


def named(series: Series, *prefixes: str) -> Series:
    return {key: value for key, value in series.items() if key[0].startswith(prefixes)}


def every_type() -> Query:
    return query(
        "every_type",
        labels=("datname",),
        metrics=(
            metric("pg_size_bytes", help='Size, "all" of it\nC:\\data.'),
            metric("pg_calls_total", type="counter", help="Calls.", value="calls"),
            metric("pg_xact_commit", type="unknown", help="Commits.", value="commits"),
            metric("pg_app_info", type="info", help="Version.", value=None, labels={"version": "1"}),
            metric("pg_wait_seconds", type="histogram", help="Waits.", value="waits", sum="waited"),
            metric("pg_lag_seconds", type="histogram", help="Lags, their sum unknown.", value="lags"),
        ),
        health=HealthRule(check="size", metric="pg_size_bytes", warn_above=10, fail_above=1e9),
    )


def hand_made() -> Pages:
    """Make pages with one of everything: two stores, one of them down with a backup; a failed query, an absent one."""
    orders = Events(monitored_target("orders", labels={"cluster": "eu-1"}))
    search = Events(monitored_target("search", store="qdrant", interval=30.0, required=False))
    pages = Pages(orders.target, search.target)
    server = info("15.4", role="primary", edition="", started_at=1.7e9, missing_privileges={"pg_monitor": "GRANT x"},
                  capabilities={"statements": "", "wal": "needs version >=16"})  # fmt: skip
    rows: list[Row] = [
        {"datname": 'a"b\\c\nd', "bytes": 5.0, "calls": 7, "commits": 1e17, "waits": {"0.1": 1, "1": 3}, "waited": 0.75,
         "lags": {"5": 2}},
        {"datname": None, "bytes": math.inf, "calls": 0, "commits": math.nan, "waits": None, "waited": None,
         "lags": None},
    ]  # fmt: skip
    pages.publish(
        orders.ping(90.0, server, seconds=0.003),
        orders.result(90.5, every_type(), rows),
        orders.result(90.6, query("canary", timing=True, labels=(), metrics=()), [{}]),
        orders.failed_result(91.0, query("bloat")),
        orders.failed_result(91.0, query("huge"), QueryError("limit", "too many", 1200)),
        orders.failed_result(91.0, query("vacuum"), QueryError("unsupported", "needs version >=17")),
        orders.poll(92.0, skipped=1),
        search.ping(80.0, info("1.12")),
        search.result(80.0, query("snapshots", store="qdrant", labels=("check",), metrics=(
            Metric(name="datatier_backups", type="gauge", help="Backups there are.", value="bytes"),
            metric("qdrant_snapshot_bytes"))), [{"check": "docs", "bytes": 2.0}]),
        search.poll(80.1),
        search.failed_ping(95.0, "timeout"),
        search.poll(96.0),
    )  # fmt: skip
    return pages


@pytest.mark.parametrize(("kind", "file"), [("text", "page.txt"), ("openmetrics", "page.om.txt")])
def test_the_golden_page(kind: Format, file: str) -> None:
    """The whole page of a hand-made snapshot, byte by byte: a change of it is a change for users."""
    assert hand_made().text(kind) == (GOLDEN / file).read_text(encoding="utf-8")


def test_both_formats_say_the_same() -> None:
    """They differ in their heads alone, so every number is the same in both."""
    pages = hand_made()
    text, openmetrics = pages.series("text"), pages.series("openmetrics")

    assert text.keys() == openmetrics.keys()
    assert [text[key] for key in text if text[key] == text[key]] == [
        openmetrics[key] for key in text if text[key] == text[key]
    ]


@pytest.mark.parametrize(
    ("kind", "name", "text", "openmetrics"),
    [
        ("gauge", "pg_a", "pg_a gauge", "pg_a gauge"),
        ("counter", "pg_a_total", "pg_a_total counter", "pg_a counter"),
        ("unknown", "pg_a", "pg_a untyped", "pg_a unknown"),
        ("unknown", "pg_a_total", "pg_a_total untyped", "pg_a_total unknown"),
        ("info", "pg_a_info", "pg_a_info gauge", "pg_a info"),
        ("histogram", "pg_a", "pg_a histogram", "pg_a histogram"),
    ],
)
def test_heads(kind: str, name: str, text: str, openmetrics: str) -> None:
    """OpenMetrics names a family without its suffix; the older format has no info and calls unknown untyped."""
    made = metric(name, type=kind, help=' A "quoted"\\ line\n')

    assert head(made, "text") == f'# HELP {name} A "quoted"\\\\ line\n# TYPE {text}\n'
    family = openmetrics.partition(" ")[0]
    assert head(made, "openmetrics") == f'# HELP {family} A \\"quoted\\"\\\\ line\n# TYPE {openmetrics}\n'


label_values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(label_values, label_values, st.floats())
@pytest.mark.parametrize("kind", ["text", "openmetrics"])
def test_any_label_value_is_read_back(kind: Format, value: str, help_text: str, number: float) -> None:
    """Quotes, backslashes, newlines and every odd separator of Unicode come through."""
    made = metric("pg_a", help=f"x{help_text}x")
    page = head(made, kind) + render_sample("pg_a", 'target="t"', (("datname", value), ("schemaname", value)), number)

    end = "# EOF\n" if kind == "openmetrics" else ""
    [(key, found)] = series_of(page + end, kind).items()
    expected = {"target": "t"} | ({"datname": value, "schemaname": value} if value else {})
    assert key == ("pg_a", tuple(sorted(expected.items())))
    assert found == number or (math.isnan(found) and math.isnan(number))


def test_half_a_surrogate_pair_does_not_break_the_page() -> None:
    """JSON can bring one; it has no UTF-8, and two such names are not the same: Prometheus would refuse the page."""
    pages, events = Pages(), Events()
    rows = [{"datname": name, "bytes": 1.0} for name in ("a\ud800", "a\ud801", "a?", "é")]
    pages.publish(events.ping(90.0), events.result(90.0, rows=rows))

    assert [dict(labels)["datname"] for _, labels in named(pages.series(), "pg_size")] == [
        "a\\ud800", "a\\ud801", "a?", "é",
    ]  # fmt: skip


def test_a_histogram_has_a_count_where_it_has_a_sum() -> None:
    """And neither where the sum is not known."""
    value = HistogramValue(((0.5, 1.0), (math.inf, 3.0)), 2.5)

    assert render_sample("pg_a", 'target="t"', (), value) == (
        'pg_a_bucket{target="t",le="0.5"} 1.0\npg_a_bucket{target="t",le="+Inf"} 3.0\n'
        'pg_a_sum{target="t"} 2.5\npg_a_count{target="t"} 3.0\n'
    )
    assert "_count" not in render_sample("pg_a", 'target="t"', (), value._replace(sum=None))


def test_null_is_no_line_and_zero_is_one() -> None:
    pages, events = Pages(), Events()
    rows: list[Row] = [{"datname": "a", "bytes": None}, {"datname": "b", "bytes": 0}]
    pages.publish(events.ping(90.0), events.result(90.0, rows=rows))

    assert named(pages.series(), "pg_size") == {("pg_size_bytes", (("datname", "b"), ("target", "orders"))): 0.0}


def test_a_family_without_samples_has_no_head() -> None:
    """An empty family is noise."""
    pages, events = Pages(), Events()
    pages.publish(events.ping(90.0), events.result(90.0, rows=[]))

    assert "pg_size_bytes" not in pages.text()


def test_a_targets_labels_are_on_every_sample() -> None:
    """Those of the configuration; and the store on the product's own metrics."""
    events = Events(monitored_target("orders", labels={"cluster": "eu-1"}))
    pages = Pages(events.target)
    pages.publish(events.ping(90.0), events.result(90.0), events.poll(90.0))

    labels = [dict(labels) for _, labels in pages.series()]
    assert {found.get("cluster") for found in labels} == {"eu-1"}
    assert {found.get("target") for found in labels} == {"orders"}
    assert {dict(labels)["store"] for name, labels in pages.series() if name.startswith("datatier_")} == {"postgres"}


def test_two_queries_may_feed_one_core_metric() -> None:
    """Where both say the same series, the first counts: twice would cost the whole page."""
    fed = Metric(name="datatier_saturation_ratio", type="gauge", help="H.", value="bytes")
    disk = query("disk", labels=(), metrics=(fed.model_copy(update={"labels": {"resource": "disk"}}),))
    both = query("both", labels=("resource",), metrics=(fed,))
    pages, events = Pages(), Events()
    rows = [{"resource": "disk", "bytes": 0.2}, {"resource": "queue", "bytes": 0.3}]
    pages.publish(events.ping(90.0), events.result(90.0, disk, [{"bytes": 0.1}]), events.result(90.0, both, rows))

    found = {dict(labels)["resource"]: value for (_, labels), value in named(pages.series(), "datatier_sat").items()}
    assert found == {"disk": 0.1, "queue": 0.3}


def test_a_page_of_one_target_is_its_part_of_the_page() -> None:
    """Nothing of the others, nothing missing."""
    pages = hand_made()
    whole = {key: value for key, value in pages.series().items() if ("target", "orders") in key[1]}

    assert repr(pages.series(target="orders")) == repr(whole)


def test_a_page_is_made_once_for_each_state() -> None:
    """Ready bytes until something changes or expires."""
    pages, events = Pages(), Events()
    pages.publish(events.ping(90.0), events.result(90.0))
    first = pages.exposition.page("text", at(100.0))
    assert pages.exposition.page("text", at(110.0)) is first

    pages.publish(events.poll(111.0))
    assert pages.exposition.page("text", at(111.0)) is not first


def test_a_page_forgets_what_expired() -> None:
    """No event is needed: a later scrape gets less."""
    pages, events = Pages(), Events()
    pages.publish(events.ping(90.0), events.result(90.0), events.poll(90.0))

    up = ("datatier_up", (("store", "postgres"), ("target", "orders")))
    assert (pages.series(now=127.0)[up], len(named(pages.series(now=127.0), "pg_size"))) == (1.0, 1)
    assert (pages.series(now=128.0)[up], len(named(pages.series(now=128.0), "pg_size"))) == (0.0, 0)


def test_a_targets_part_is_made_anew_only_when_the_target_changes() -> None:
    """Of a thousand targets that are polled at different times, one poll costs one part."""
    orders, search = Events(), Events(monitored_target("search", store="qdrant"))
    pages = Pages(orders.target, search.target)
    pages.publish(orders.ping(90.0), search.ping(90.0))
    before = pages.exposition.page("text", at(91.0)).fragments
    pages.publish(search.poll(92.0))
    after = pages.exposition.page("text", at(92.0)).fragments

    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False]


def test_target_is_rendered_again_when_others_change_its_state() -> None:
    """A target that was down is unknown once no target can be reached: its own poll saw nothing new."""
    orders, search = Events(), Events(monitored_target("search", store="qdrant"))
    pages = Pages(orders.target, search.target)
    unasked = replace(orders.failed_ping(90.0), fault="network")
    pages.publish(unasked, orders.poll(90.0), search.ping(90.0))
    state = ("datatier_target_state", (("store", "postgres"), ("target", "orders")))
    assert pages.series(now=91.0)[state] == 3.0

    pages.publish(replace(search.failed_ping(92.0), fault="network"))
    assert pages.series(now=92.0)[state] == 1.0


def test_a_forgotten_target_leaves_nothing_behind() -> None:
    """Neither lines, nor parts, nor pages: targets come and go for months."""
    pages, events = Pages(), Events()
    pages.publish(events.ping(90.0), events.result(90.0))
    page = pages.exposition.page("text", at(90.0), "orders")
    part, page_is_there = page.fragments[0], weakref.ref(page)
    del page
    pages.exposition.forget("orders")

    assert page_is_there() is None
    assert gc.get_referrers(part) == []


def test_a_large_page_comes_in_blocks() -> None:
    """Each is a small piece of work, and together they are the page."""
    part = TargetFragment(1, math.inf, {name: name.encode() * 400_000 for name in "abcdef"}, 2_400_000, 6)
    blocks = list(Page(dict.fromkeys("abcdef", b"# HELP\n"), [part]).blocks())

    assert [len(block) // 400_000 for block in blocks] == [3, 3, 0]
    assert b"".join(blocks) == b"".join(b"# HELP\n" + name.encode() * 400_000 for name in "abcdef")


def test_a_page_counts_its_series() -> None:
    """What Prometheus will store of it."""
    pages = hand_made()
    page = pages.exposition.page("text", at(100.0))

    assert page.series == len(pages.series())


def test_an_empty_page_is_no_page() -> None:
    assert b"".join(Exposition(Snapshot([], at(0.0))).page("text", at(1.0)).blocks()) == b""
