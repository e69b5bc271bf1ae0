"""Rows of postgres_exporter's queries: which values, labels and names they come to."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf
from pathlib import Path

import pytest

from exporter.errors import QueryError
from exporter.queries.histogram import HistogramValue
from exporter.queries.postgres_exporter.values import label_text, milliseconds, number
from tests.support.importing import SHOP, one, samples


def test_a_visit_takes_the_rows_of_the_database_visited(tmp_path: Path) -> None:
    """A query that lists all databases in each of them would give the same series several times."""
    text = "x:\n  query: SELECT current_database() AS db, 1\n  metrics: [{db: {usage: LABEL}}, {n: {usage: GAUGE}}]\n"
    query = one(tmp_path, text)
    [family] = query.samples([{"db": "app", "n": 1}, {"db": "shop", "n": 2}], (("datname", "shop"),))

    assert (family.labels, family.values) == ([(("db", "shop"),)], [2.0])
    assert query.label_names == {"db"}


def test_rows_that_do_not_say_it_get_a_label(tmp_path: Path) -> None:
    query = one(tmp_path, "x:\n  query: SELECT n FROM t WHERE d = current_database()\n")
    [family] = query.samples([{"n": 1}], (("datname", "shop"),))

    assert family.labels == [(("datname", "shop"),)]
    assert query.label_names == {"datname"}


def test_columns_that_are_not_listed_become_metrics_where_they_are_numbers(tmp_path: Path) -> None:
    query = one(tmp_path, SHOP)
    row = {"kind": "book", "sold": 1, "price": 2, "weight": Decimal("1.5"), "note": "thick", "?column?": 3}

    assert samples(query, row) == {"shop_sold": [1.0], "shop_price": [2.0], "shop_weight": [1.5], "shop_note": [None]}


def test_a_listed_column_that_is_not_there_or_no_number_costs_only_its_samples(tmp_path: Path) -> None:
    query = one(tmp_path, SHOP)

    assert samples(query, {"kind": "book", "price": "cheap"}) == {"shop_sold": [None], "shop_price": [None]}


@pytest.mark.parametrize("value", [10**400, Decimal("sNaN")])
def test_a_number_that_no_float_can_hold_is_no_sample(tmp_path: Path, value: object) -> None:
    assert samples(one(tmp_path, SHOP), {"kind": "book", "sold": value}) == {"shop_sold": [None], "shop_price": [None]}


def test_a_label_that_is_not_there_costs_the_query(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no column 'kind'"):
        one(tmp_path, SHOP).samples([{"sold": 1}])


def test_every_other_usage(tmp_path: Path) -> None:
    text = """
x:
  query: SELECT 1
  metrics:
    - mode: {usage: MAPPEDMETRIC, metric_mapping: {session: 1, transaction: 2}}
    - age: {usage: DURATION}
    - pid: {usage: DISCARD}
    - wait: {usage: HISTOGRAM}
    - done_total: {usage: COUNTER}
"""
    query = one(tmp_path, text)
    row = {
        "mode": "transaction", "age": timedelta(seconds=2), "pid": 4, "done_total": 5,
        "wait": [1.0, 5.0], "wait_bucket": [1, 3], "wait_sum": 9.5, "wait_count": 4,
    }  # fmt: skip

    assert samples(query, row) == {
        "x_mode": [2.0],
        "x_age_milliseconds": [2000.0],
        "x_wait": [HistogramValue(((1.0, 1.0), (5.0, 3.0), (inf, 4.0)), 9.5)],
        "x_done_total": [5.0],
    }
    assert [metric.type for metric in query.metrics] == ["gauge", "gauge", "histogram", "counter"]
    assert samples(query, {**row, "mode": "statement", "wait": None})["x_mode"] == [None]


def test_a_bucket_never_holds_more_than_all(tmp_path: Path) -> None:
    """A well-known file counts idle sessions, and all sessions in the buckets."""
    query = one(tmp_path, "x:\n  query: SELECT 1\n  metrics: [{w: {usage: HISTOGRAM}}]\n")
    row = {"w": [1, 2], "w_bucket": [Decimal(1), Decimal(7)], "w_sum": None, "w_count": 3}

    assert samples(query, row) == {"x_w": [HistogramValue(((1.0, 1.0), (2.0, 3.0), (inf, 3.0)), None)]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, 1.0),
        ("7", 7.0),
        ("-.5e2", -50.0),
        (" 7", None),
        ("1_0", None),
        ("abc", None),
        (b"8", 8.0),
        (datetime(2024, 1, 1, 0, 0, 0, 900_000, tzinfo=UTC), 1704067200.0),
        (datetime(2024, 1, 1), 1704067200.0),  # noqa: DTZ001 - a timestamp without time zone
        (date(2024, 1, 1), 1704067200.0),
        (datetime.max, inf),  # noqa: DTZ901 - asyncpg's infinity
        (timedelta(1), None),
        ([1], None),
        (None, None),
    ],
)
def test_number_reads_what_postgres_exporter_reads(value: object, expected: float | None) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (timedelta(days=1, milliseconds=5), 86_400_005.0),
        ("1d 2h", 93_600_000.0),
        ("1h30m", 5_400_000.0),
        ("250ms", 250.0),
        ("-1m", -60_000.0),
        ("1 day 02:00:00.5", 93_600_500.0),
        ("00:00:01", 1000.0),
        ("1500", 1500.0),
        (2500, 2500.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_durations_are_milliseconds(value: object, expected: float | None) -> None:
    assert milliseconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (False, "false"),
        (1.0, "1"),
        (1e6, "1e+06"),
        (0.00001, "1e-05"),
        (-inf, "-Inf"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E-9"), "0.000000001"),
        (b"r", "r"),
        (date(2024, 1, 1), "1704067200"),
        (["a", "b c", None], '{a,"b c",NULL}'),
    ],
)
def test_labels_are_written_as_postgres_exporter_does(value: object, expected: str) -> None:
    assert label_text(value) == expected
