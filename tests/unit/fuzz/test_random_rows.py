"""Whatever a server answers, a query fails with a typed reason, or its samples are on the page as they are."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import QueryError
from exporter.exposition.text_format import Format
from exporter.health.report import report
from exporter.queries.health_rule import HealthRule
from exporter.queries.histogram import HistogramValue
from exporter.queries.query import Query, Row
from tests.support.factories import Events, at, metric, query
from tests.support.fuzz import examples
from tests.support.health_schema import valid
from tests.support.importing import one
from tests.support.pages import Pages, Series


class Text(str):
    """A text that is not quite one, as drivers make them."""

    __slots__ = ()


class Kind(StrEnum):
    ONE = "one"


LARGE = ["x" * 1_000_000, b"y" * 1_000_000, 10**400, -(10**400), Decimal("1e5000"), Decimal("sNaN"), Decimal("NaN")]
cells = st.one_of(
    st.floats(),
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(),
    st.text(max_size=6),
    st.text(st.characters(categories=["Cs", "Cc", "Zl", "Zp"]), max_size=3),
    st.text(max_size=3).map(Text),
    st.binary(max_size=6),
    st.dates(),
    st.datetimes(timezones=st.just(UTC) | st.none()),
    st.timedeltas(),
    st.sampled_from(
        [
            *LARGE,
            Kind.ONE,
            date.max,
            datetime.max.replace(tzinfo=UTC),
            [[1, [None]], {"a": [2]}],
            ("a", 1),
            {1: 2},
            object(),
        ]
    ),
    st.lists(st.floats() | st.none() | st.text(max_size=2), max_size=3),
    st.dictionaries(st.floats() | st.text(max_size=3), st.floats() | st.integers() | st.none(), max_size=3),
)
likely = st.floats() | st.integers(-9, 9) | st.none() | cells
rows_of_cells = st.lists(
    st.fixed_dictionaries({}, optional={"datname": cells, "kind": likely, "a": likely, "b": likely, "c": cells}),
    max_size=3,
) | st.lists(st.fixed_dictionaries(dict.fromkeys(("datname", "kind", "a", "b", "c"), likely)), max_size=3)
BUILT_IN = query(
    labels=("datname", "kind"),
    metrics=(
        metric("pg_a", value="a", labels={"part": 'x"\\\n'}),
        metric("pg_b_total", type="counter", value="b"),
        metric("pg_c_seconds", type="histogram", value="c", sum="b"),
        metric("pg_app_info", type="info", value=None),
    ),
    findings="c",
    health=HealthRule(check="a", metric="pg_a", warn_above=1, fail_above=2),
)
ONLY_A_GAUGE = query(labels=("datname",), metrics=(metric("pg_a", value="a"),))
IMPORTED = """
pg_shop:
  query: SELECT 1
  metrics:
    - datname: {usage: LABEL}
    - a: {usage: DURATION}
    - b: {usage: MAPPEDMETRIC, metric_mapping: {one: 1}}
    - c: {usage: HISTOGRAM}
"""


@pytest.fixture(scope="module", params=["built-in", "gauge", "imported"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Query:
    folder: Path = tmp_path_factory.mktemp("queries")
    return {"built-in": BUILT_IN, "gauge": ONLY_A_GAUGE}.get(request.param) or one(folder, IMPORTED)


@examples(80)
@given(rows_of_cells)
def test_rows_are_samples_or_an_error(asked: Query, rows: list[Row]) -> None:
    """Both formats are parsed by Prometheus' own library, /health by its schema."""
    events = Events()
    pages = Pages(events.target)
    pages.publish(events.ping(90.0))
    try:
        result = events.result(90.0, asked, rows)
    except QueryError as error:
        assert "\n" not in error.shown  # noqa: PT017 - either outcome is right
        pages.publish(events.failed_result(90.0, asked, error))
        expected: Series = {}
    else:
        pages.publish(result)
        expected = series_expected(result.families)
    pages.publish(events.poll(90.0))

    for kind in ("text", "openmetrics"):
        assert repr(sorted(named(pages, kind).items())) == repr(sorted(expected.items()))
    valid(report(pages.snapshot, at(100.0)))


def named(pages: Pages, kind: Format) -> Series:
    return {key: value for key, value in pages.series(kind).items() if key[0].startswith("pg_") and key[0] != "pg_up"}


def series_expected(families: Any) -> Series:
    """Say what families are on a page, without rendering any."""
    found: Series = {}
    for made, labels, values, _ in families:
        for row, value in zip(labels, values, strict=True):
            pairs = {"target": "orders", **made.labels, **dict(row)}
            shown = {name: str(text).encode(errors="replace").decode() for name, text in pairs.items() if text}
            for suffix, more, number in samples(value):
                found[(made.name + suffix, tuple(sorted({**shown, **more}.items())))] = number
    return found


def samples(value: Any) -> list[tuple[str, dict[str, str], float]]:
    if not isinstance(value, HistogramValue):
        return [] if value is None else [("", {}, value)]
    found: list[tuple[str, dict[str, str], float]] = [
        ("_bucket", {"le": "+Inf" if bound == math.inf else "-Inf" if bound == -math.inf else repr(bound)}, count)
        for bound, count in value.buckets
    ]
    if value.sum is not None:
        found += [("_sum", {}, value.sum), ("_count", {}, value.buckets[-1][1])]
    return found
