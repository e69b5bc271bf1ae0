"""Rows become samples, or a typed reason why not."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import QueryError, Reason
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Row, Value, unsupported
from tests.support.factories import info, metric, plain, query


def values(rows: Sequence[Row], **changes: Any) -> list[Value]:
    [family] = query(**changes).samples(rows)
    return list(family.values)


def failure(rows: Sequence[Row], **changes: Any) -> QueryError:
    with pytest.raises(QueryError) as caught:
        query(**changes).samples(rows)
    return caught.value


@pytest.mark.parametrize(
    ("cell", "value"),
    [(None, None), (0, 0.0), (7, 7.0), (0.25, 0.25), (Decimal("1.5"), 1.5), (True, 1.0), (False, 0.0)],
)
def test_null_is_no_sample_and_zero_is_one(cell: object, value: float | None) -> None:
    """A cell is a float or no sample; a boolean counts as 0 or 1."""
    assert values([{"datname": "app", "bytes": cell}]) == [value]


@pytest.mark.parametrize("cell", ["12", b"13", [1], {"a": 1}, object()])
def test_value_that_is_no_number_fails_the_query(cell: object) -> None:
    """Text is not parsed: a query that returns it fails, and the message names the metric and the column."""
    error = failure([{"datname": "app", "bytes": cell}])

    assert error.reason == "decode"
    assert "pg_size_bytes: column 'bytes' holds" in str(error)


@pytest.mark.parametrize("cell", [10**400, Decimal("sNaN")])
def test_a_number_that_no_float_can_hold_fails_the_query(cell: object) -> None:
    """JSON and NUMERIC know no bounds."""
    error = failure([{"datname": "app", "bytes": cell}])

    assert (error.reason, "what no float can" in str(error)) == ("decode", True)


def test_a_missing_value_column_fails_the_query() -> None:
    """A typing error in a column's name is an error, not NULL."""
    error = failure([{"datname": "app"}])

    assert (error.reason, str(error)) == ("decode", "pg_size_bytes: the rows have no column 'bytes'")


def test_a_missing_label_column_fails_the_query() -> None:
    """So is one in a label's name."""
    error = failure([{"bytes": 1.0}])

    assert (error.reason, str(error)) == ("decode", "the rows have no label column 'datname'")


def test_no_rows_are_no_samples() -> None:
    """A query may return no rows."""
    [family] = query().samples([])

    assert family.series == 0


@pytest.mark.parametrize(
    ("cell", "label"), [("app", "app"), (None, ""), (True, "true"), (False, "false"), (5, "5"), (0, "0")]
)
def test_label_values_are_text(cell: object, label: str) -> None:
    """NULL is an empty label, a boolean is spelled as in YAML and JSON."""
    [family] = query().samples([{"datname": cell, "bytes": 1.0}])

    assert family.labels == [(("datname", label),)]


def test_duplicate_labels_fail_the_query() -> None:
    """Prometheus would reject the whole page for one series that is there twice."""
    error = failure(plain([("app", 1.0), ("log", 2.0), ("app", 3.0)]))

    assert (error.reason, error.dropped) == ("decode", 3)
    assert str(error) == "two rows have the same labels datname='app'"


def test_null_and_empty_labels_are_the_same() -> None:
    """An empty label value is the absence of the label, so both together are a duplicate."""
    assert failure([{"datname": None, "bytes": 1.0}, {"datname": "", "bytes": 1.0}]).reason == "decode"


def test_two_rows_without_labels_are_duplicates() -> None:
    """The message does not leave the reader with an empty list."""
    error = failure(plain([("app", 1.0), ("log", 2.0)]), labels=())

    assert str(error) == "two rows have the same labels (none: more than one row)"


def test_extra_labels_come_first() -> None:
    """The database in which a query ran is a label of its samples, and distinguishes equal rows."""
    [family] = query(labels=("schemaname",)).samples([{"schemaname": "public", "bytes": 1.0}], (("datname", "app"),))

    assert family.labels == [(("datname", "app"), ("schemaname", "public"))]


def test_max_series_is_a_limit_not_a_cut() -> None:
    """Above the limit the query fails as a whole, and the error has the number of series."""
    rows = plain([(str(i), 1.0) for i in range(4)])

    assert len(values(rows, max_series=4)) == 4
    error = failure(rows, max_series=3)
    assert (error.reason, error.dropped, str(error)) == ("limit", 4, "4 series are more than max_series 3")


def test_nulls_do_not_count_as_series() -> None:
    """What is no sample uses nothing up."""
    assert values([{"datname": "a", "bytes": None}, {"datname": "b", "bytes": 1.0}], max_series=1) == [None, 1.0]


def test_info_needs_no_value() -> None:
    """An info metric is all labels; its value is 1."""
    assert values(plain({"app": 9.0}), metrics=(metric("pg_app_info", type="info", value=None),)) == [1.0]


HISTOGRAM = metric("pg_wait_seconds", type="histogram", value="buckets", sum="total")


def histogram(buckets: object, **columns: object) -> Value:
    [value] = values([{"datname": "app", "buckets": buckets, **columns}], metrics=(HISTOGRAM,))
    return value


def test_histogram_buckets_are_sorted_and_end_with_infinity() -> None:
    """Bounds may be text, as JSON keys are, and come in any order."""
    value = histogram({"1": 3, "0.1": 1, "0.5": Decimal(2)}, total=0.75)

    assert value == HistogramValue(((0.1, 1.0), (0.5, 2.0), (1.0, 3.0), (math.inf, 3.0)), 0.75)


@pytest.mark.parametrize("columns", [{}, {"total": None}])
def test_histogram_without_a_sum_has_none(columns: dict[str, object]) -> None:
    """A sum that is not known is not made up."""
    assert histogram({"+Inf": 2}, **columns) == HistogramValue(((math.inf, 2.0),), None)


@pytest.mark.parametrize("buckets", [None, {}])
def test_histogram_without_buckets_is_no_sample(buckets: object) -> None:
    """There is nothing to show."""
    assert histogram(buckets) is None


@pytest.mark.parametrize(
    ("buckets", "message"),
    [
        ({"0.1": 5, "1": 3}, "not cumulative"),
        ({"1": 1, "1.0": 1}, "the same bound"),
        ({"nan": 1}, "no number"),
        ({"fast": 1}, "no number"),
        ({"0.1": None}, "no number"),
        ({"0.1": "x"}, "no number"),
        ({"0.1": 10**400}, "no number"),
        ([1, 2], "holds no buckets"),
        (5.0, "holds no buckets"),
    ],
)
def test_a_wrong_histogram_fails_the_query(buckets: object, message: str) -> None:
    """Buckets that break a rule of the format would break the whole page."""
    error = failure([{"datname": "app", "buckets": buckets}], metrics=(HISTOGRAM,))

    assert error.reason == "decode"
    assert message in str(error)


def test_histogram_counts_all_its_lines_as_series() -> None:
    """Every bucket is a series of its own, as are sum and count; max_series means what Prometheus stores."""
    rows = [{"datname": "app", "buckets": {"0.1": 1, "1": 2}, "total": 0.5}]
    [family] = query(metrics=(HISTOGRAM,)).samples(rows)

    assert family.series == 5
    assert failure(rows, metrics=(HISTOGRAM,), max_series=4).dropped == 5


cells = st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(), st.decimals(allow_nan=False))


@given(st.lists(st.tuples(st.text(max_size=3), cells), max_size=30))
def test_every_row_becomes_its_sample_or_the_query_fails(rows: list[tuple[str, Any]]) -> None:
    """Nothing is lost, reordered or invented; what cannot be shown is a QueryError and nothing else."""
    table: list[Row] = [{"datname": name, "bytes": value} for name, value in rows]
    try:
        [family] = query(max_series=20).samples(table)
    except QueryError as error:
        failed: Reason | None = error.reason
    else:
        failed = None
        assert [labels[0][1] for labels in family.labels] == [name for name, _ in rows]
        assert [value is None for value in family.values] == [value is None for _, value in rows]
        assert all(isinstance(value, float) for value in family.values if value is not None)

    twice = len({name for name, _ in rows}) < len(rows)
    many = sum(value is not None for _, value in rows) > 20
    assert failed == ("decode" if twice else "limit" if many else None)


TEXTS = {"5.2": "old", "5.10": "new", "14": "newest"}


@pytest.mark.parametrize(
    ("version", "text"),
    [("5.2", "old"), ("5.9.1", "old"), ("5.10", "new"), ("5.10.0", "new"), ("13.9", "new"), ("16beta1", "newest")],
)
def test_text_goes_by_version_as_numbers(version: str, text: str) -> None:
    """5.10 is later than 5.9, and no 5.1."""
    assert query(query=TEXTS).text(version) == text


def test_missing_parts_of_a_version_are_zero() -> None:
    """A server that calls itself 15 is a 15.0."""
    assert query(query={"15.0": "text"}).text("15") == "text"


def test_a_server_older_than_every_text_is_unsupported() -> None:
    """The message names the version from which on the query works."""
    with pytest.raises(QueryError, match=r"^needs version >=5\.2$") as caught:
        query(query=TEXTS).text("5.1")

    assert caught.value.reason == "unsupported"


def test_query_with_one_text_serves_every_version() -> None:
    assert query(query="SELECT 2").text("9.6") == "SELECT 2"


def test_unsupported_names_what_is_missing() -> None:
    """Every condition of `when` is a reason that a person can act on."""
    conditioned = query(when={"edition": "enterprise"})

    assert str(unsupported(conditioned, info(edition="community"))) == "needs edition enterprise"
    assert unsupported(conditioned, info(edition="enterprise")) is None


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_a_counter_below_zero_is_an_error(value: float) -> None:
    """OpenMetrics has no such counter: strict readers would refuse the whole page for it."""
    falling = query(metrics=(metric("pg_rows_total", type="counter"),))

    with pytest.raises(QueryError, match="no counter"):
        falling.samples([{"datname": "app", "bytes": value}])
