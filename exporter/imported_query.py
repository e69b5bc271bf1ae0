"""A query of postgres_exporter's queries.yaml: its rows become the series that postgres_exporter 0.11.1 makes of them.

Two things it does not do as 0.11.1: NULL is no sample, where that one says NaN; and MAPPEDMETRIC and DURATION read
texts, where that one reads them like any number and then has no sample.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, partial
from typing import Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from exporter.query import Family, Labels, Metric, Query, QueryError, Row
from exporter.query_lint import METRIC_NAME

Usage = Literal["DISCARD", "LABEL", "COUNTER", "GAUGE", "HISTOGRAM", "MAPPEDMETRIC", "DURATION"]

_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity)|nan", re.IGNORECASE)
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|h|days?|d|w)(?![a-zµ])")
_MILLISECONDS = {
    "ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6,
    "d": 8.64e7, "day": 8.64e7, "days": 8.64e7, "w": 6.048e8,
}  # fmt: skip
_PLAIN_EXPONENTS = range(-4, 6)  # of ten, that Go writes out
_QUOTED = re.compile(r'^$|[\s{}",\\]')  # what an array's text puts into quotes
_INFINITIES = {datetime.max.replace(tzinfo=UTC): math.inf, datetime.min.replace(tzinfo=UTC): -math.inf}

_log = structlog.get_logger("exporter")


class Column(BaseModel):
    """What the file says about a column."""

    model_config = ConfigDict(frozen=True)

    usage: Usage
    description: str = ""
    metric_mapping: dict[str, float] = Field(default_factory=dict)


class ImportedQuery(Query):
    """A namespace of the file.

    database_label: the column that says which database a row is of. Where it is there, a visit to each database
    takes the rows of that one, and adds no label.
    taken, longer_namespaces: names that a column which the file does not list may not make a series of.
    """

    namespace: str
    columns: dict[str, Column]
    database_label: str | None = None
    taken: frozenset[str] = frozenset()
    longer_namespaces: tuple[str, ...] = ()

    @property
    def label_names(self) -> set[str]:
        """Name every label that its samples bring themselves."""
        return set(self.labels) if self.database_label else super().label_names

    def samples(self, rows: Sequence[Row], extra: Labels = ()) -> list[Family]:
        """Turn rows into families, each numeric column that the file does not list into one, too."""
        if extra and self.database_label:
            ((_, database),) = extra
            rows = [row for row in rows if self._cell(row, self.database_label) == database]
            extra = ()
        unlisted = self._unlisted(rows[0]) if rows else ()
        readers = self._readers(unlisted)
        plain = [{name: read(row) for name, read in readers.items()} for row in rows]
        shaped = self.model_copy(update={"metrics": (*self.metrics, *unlisted)})
        return Query.samples(shaped, plain, extra)

    def _unlisted(self, row: Row) -> tuple[Metric, ...]:
        taken = self.taken.union(*map(series_names, self.metrics))
        return tuple(
            Metric(name=name, type="unknown", help=f"Column {column} of {self.namespace}.", value=column)
            for column in dict.fromkeys(row.keys())
            if column not in self.columns
            for name in (f"{self.namespace}_{column}",)
            if METRIC_NAME.fullmatch(name) and name not in taken and not name.startswith(self.longer_namespaces)
        )

    def _readers(self, unlisted: Sequence[Metric]) -> Mapping[str, Callable[[Row], object]]:
        """Return what reads each column that the samples are made of."""
        readers: dict[str, Callable[[Row], object]] = {
            label: partial(self._label, column=label) for label in self.labels
        }
        for metric in unlisted:
            readers[str(metric.value)] = partial(_plain_number, column=str(metric.value))
        for name, column in self.columns.items():
            match column.usage:
                case "COUNTER" | "GAUGE":
                    readers[name] = partial(self._number, column=name, read=number)
                case "DURATION":
                    readers[name] = partial(self._number, column=name, read=milliseconds)
                case "MAPPEDMETRIC":
                    readers[name] = partial(self._number, column=name, read=partial(mapped, column.metric_mapping))
                case "HISTOGRAM":
                    readers[name] = partial(_buckets, column=name)
                    readers[f"{name}_sum"] = partial(_plain_number, column=f"{name}_sum")
        return readers

    def _label(self, row: Row, column: str) -> str:
        return label_text(self._cell(row, column))

    def _cell(self, row: Row, column: str) -> object:
        if column not in row:
            raise QueryError("decode", f"the rows have no label column {column!r}")
        return row[column]

    def _number(self, row: Row, column: str, read: Callable[[object], float | None]) -> float | None:
        value = row.get(column)
        found = read(value)
        if found is None and value is not None:
            _tell(self.name, column, type(value).__name__)
        return found


def series_names(metric: Metric) -> set[str]:
    """Name what a metric's series are called on the page."""
    parts = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ()
    return {metric.name, *(metric.name + part for part in parts)}


@cache
def _tell(query: str, column: str, kind: str) -> None:
    """Say once what would otherwise just not be there."""
    _log.warning("a column cannot be read as its usage says, and has no samples", query=query, column=column, type=kind)


def _plain_number(row: Row, column: str) -> float | None:
    return number(row.get(column))


def number(value: object) -> float | None:
    """Read what postgres_exporter takes for a number: texts and points in time, too; None where it is none."""
    if isinstance(value, bool | int | float | Decimal):
        return float(value)
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return _unix_time(value) if isinstance(value, date) else None


def _unix_time(value: date) -> float:
    """Return whole seconds; asyncpg has the ends of the calendar for PostgreSQL's infinities, and all in UTC."""
    point = value.replace(tzinfo=UTC) if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
    return _INFINITIES.get(point) or float(math.floor(point.timestamp()))


def milliseconds(value: object) -> float | None:
    """Read an interval, or a text such as 1h30m, '1d 2h' or '1 day 02:00:00'; a mere number is meant to be right."""
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    if not isinstance(value, str) or number(value) is not None:
        return number(value)
    text = value.strip().lower()
    sign, text = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    if not text or _SPAN.sub("", _CLOCK.sub("", text)).strip():
        return None
    spans = sum(float(count) * _MILLISECONDS[unit] for count, unit in _SPAN.findall(text))
    clocks = sum((int(h) * 3600 + int(m) * 60 + float(s)) * 1000 for h, m, s in _CLOCK.findall(text))
    return sign * (spans + clocks)


def mapped(mapping: Mapping[str, float], value: object) -> float | None:
    """Return what the text stands for; a number stands for itself."""
    found = mapping.get(label_text(value)) if value is not None else None
    return number(value) if found is None else found


def _buckets(row: Row, column: str) -> dict[float, float] | None:
    """Pair the bounds of one column with the counts of another; no bucket holds more than there are in all."""
    bounds, counts = row.get(column), row.get(f"{column}_bucket")
    total = number(row.get(f"{column}_count"))
    if not isinstance(bounds, list) or not isinstance(counts, list) or total is None:
        return None
    pairs = zip(map(number, bounds), map(number, counts), strict=False)
    found = {bound: min(count, total) for bound, count in pairs if bound is not None and count is not None}
    return {math.inf: total, **found}


def label_text(value: object) -> str:
    """Write a value as postgres_exporter writes it into a label."""
    for kind, write in _TEXTS.items():
        if isinstance(value, kind):
            return write(value)
    return str(value)


def _array_text(values: list[object]) -> str:
    texts = ["NULL" if value is None else label_text(value) for value in values]
    return "{" + ",".join(json.dumps(t, ensure_ascii=False) if _QUOTED.search(t) else t for t in texts) + "}"


def _time_text(value: date) -> str:
    seconds = _unix_time(value)
    return f"{seconds:.0f}" if math.isfinite(seconds) else f"{seconds}inity"


def _float_text(value: float) -> str:
    """Write a float the way Go does."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{value:+}".replace("inf", "Inf")
    exact = Decimal(repr(value)).normalize()
    if exact.adjusted() in _PLAIN_EXPONENTS or not exact:
        return format(exact, "f")
    digits, _, exponent = format(exact, "e").partition("e")
    return f"{digits}e{int(exponent):+03d}"


_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "",
    float: _float_text,
    Decimal: lambda value: format(value, "f"),
    date: _time_text,
    bytes: lambda value: value.decode(errors="replace"),
    list: _array_text,
}
