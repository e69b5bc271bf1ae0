"""The parser of servers' own pages agrees with prometheus_client's, and is not stopped by odd lines."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from exporter.datastores import prometheus_text
from exporter.datastores.prometheus_text import NativePage, PageSample
from exporter.errors import QueryError

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
LABEL_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name != "le")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"{},=\n #'), max_size=12)
VALUES = st.floats()


def parse(body: bytes, prefixes: tuple[str | bytes, ...]) -> list[PageSample]:
    return list(prometheus_text.parse(body, prefixes))


class Page(Collector):
    """One family, as a registry wants it."""

    def __init__(self, family: Metric) -> None:
        self.family = family

    def collect(self) -> list[Metric]:
        return [self.family]


def page_of(family: Metric) -> bytes:
    registry = CollectorRegistry()
    registry.register(Page(family))
    return generate_latest(registry)


def by_oracle(body: bytes) -> list[PageSample]:
    families = text_string_to_metric_families(body.decode())
    return [(s.name, dict(s.labels), float(s.value)) for family in families for s in family.samples]


def comparable(samples: list[PageSample]) -> list[tuple[str, dict[str, str], str]]:
    """NaN is unequal to itself; its text is not."""
    return [(name, labels, repr(value)) for name, labels, value in samples]


@st.composite
def pages(draw: st.DrawFn) -> bytes:
    labels = draw(st.lists(LABEL_NAMES, max_size=3, unique=True))
    row = st.tuples(st.lists(TEXTS, min_size=len(labels), max_size=len(labels)), VALUES)
    family = GaugeMetricFamily(draw(NAMES), "Help with \\ and\na line break.", labels=labels)
    for values, value in draw(st.lists(row, max_size=4)):
        family.add_metric(values, value)
    return page_of(family)


@settings(deadline=None)
@given(pages())
def test_agrees_with_prometheus_client(body: bytes) -> None:
    """Whatever labels and values a page holds, both parsers read the same."""
    assert comparable(parse(body, (b"",))) == comparable(by_oracle(body))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_never_raises(body: bytes) -> None:
    """Bytes that are no page give samples or none, never an error."""
    parse(b"a_metric" + body, ("a_",))


def test_histogram_lines() -> None:
    """Buckets come as the server wrote them, bounds untouched."""
    family = HistogramMetricFamily("h", "Help.", buckets=[("0.05", 1), ("+Inf", 3)], sum_value=2.5)

    assert parse(page_of(family), ("h",)) == [
        ("h_bucket", {"le": "0.05"}, 1.0),
        ("h_bucket", {"le": "+Inf"}, 3.0),
        ("h_count", {}, 3.0),
        ("h_sum", {}, 2.5),
    ]


def test_takes_only_the_prefixes() -> None:
    """Text and bytes both name what is wanted; comments never pass."""
    body = b"# HELP a_one One.\na_one 1\nb_two 2\nc_three 3\n"

    assert parse(body, ("a_", b"c_")) == [("a_one", {}, 1.0), ("c_three", {}, 3.0)]
    assert parse(body, ()) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x 1", ("x", {}, 1.0)),
        ("x\t1 1700000000000", ("x", {}, 1.0)),
        ('x{a="b",} 1', ("x", {"a": "b"}, 1.0)),
        ('x { a = "b" , c = "d" } 1', ("x", {"a": "b", "c": "d"}, 1.0)),
        ('x{a="}{,\\"=\\\\n"} 1', ("x", {"a": '}{,"=\\n'}, 1.0)),
        ('x{a="1\\n2\\t"} 1', ("x", {"a": "1\n2\\t"}, 1.0)),
        ('x_total 3 # {trace_id="abc"} 0.5', ("x_total", {}, 3.0)),
        ("x{} +Inf\r", ("x", {}, math.inf)),
        ("x -Inf", ("x", {}, -math.inf)),
        ('x{a="b"}1e-3', ("x", {"a": "b"}, 0.001)),
    ],
)
def test_forms_of_a_line(line: str, expected: PageSample) -> None:
    """Blanks, trailing commas, timestamps, exemplars and escapes are read as the format means them."""
    assert parse(line.encode(), ("x",)) == [expected]


@pytest.mark.parametrize("line", ["x", "x ", "x one", "x{a=b} 1", 'x{a="b} 1', 'x{a="b" c="d"} 1', 'x{a="b"', "x-y 1"])
def test_leaves_out_what_is_no_sample(line: str) -> None:
    """An odd line is left out and its neighbours stay."""
    assert parse(f"{line}\nx_after 1\n".encode(), ("x",)) == [("x_after", {}, 1.0)]


@pytest.mark.parametrize("page", [b"\n" * 200_000, b"x 1\n" * 60_000])
def test_a_page_of_more_than_any_server_writes(page: bytes) -> None:
    """Each line would become an object, and 2 bytes some 300."""
    with pytest.raises(QueryError) as caught:
        parse(page, ("x",))

    assert caught.value.reason == "limit"


def test_a_line_longer_than_any_server_writes() -> None:
    labels = ",".join(f'a{number}="b"' for number in range(100))
    page = f'x{{{labels}}} 1\nx{{a="{"b" * 20_000}"}} 1\nx_after 1\n'

    assert parse(page.encode(), ("x",)) == [("x_after", {}, 1.0)]


def test_no_family_has_more_samples_than_a_cluster() -> None:
    """Each sample costs memory and time; the family is refused, not cut."""
    page = NativePage(b'minio_x{a="b"} 1\n' * 30_001, most=30_000)

    with pytest.raises(QueryError, match="more than 30000 samples of minio_x") as caught:
        page.samples("minio_x")
    assert caught.value.reason == "limit"
