"""A query of postgres_exporter's queries.yaml: its rows become the series that postgres_exporter 0.11.1 makes of them.

It differs from 0.11.1 in two points: NULL is no sample instead of NaN; and MAPPEDMETRIC and DURATION read texts, of
which 0.11.1 makes no sample.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from exporter.errors import QueryError
from exporter.queries.lint import METRIC_NAME
from exporter.queries.postgres_exporter.values import Number, label_text, mapped, milliseconds, number, numbers
from exporter.queries.query import Family, Metric, Query, Row
from exporter.queries.values import Labels

Usage = Literal["DISCARD", "LABEL", "COUNTER", "GAUGE", "HISTOGRAM", "MAPPEDMETRIC", "DURATION"]

_log = structlog.get_logger("exporter")


class Column(BaseModel):
    """A column as the file describes it."""

    model_config = ConfigDict(frozen=True)

    usage: Usage
    description: str = ""
    metric_mapping: dict[str, float] = Field(default_factory=dict)

    @property
    def reader(self) -> Callable[[object], Number]:
        """Return the function that reads one of its values."""
        if self.usage == "MAPPEDMETRIC":
            return partial(mapped, self.metric_mapping)
        return milliseconds if self.usage == "DURATION" else number


class ImportedQuery(Query):
    """A namespace of the file.

    database_label: the column with the database of a row. With it, a visit to a database keeps the rows of that one
    and adds no label.
    taken, longer_namespaces: names, and beginnings of names, that an unlisted column may not give its metric.
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
            here = [value == database for value in _cells(rows, self.database_label)]
            rows = [row for row, kept in zip(rows, here, strict=True) if kept]
            extra = ()
        unlisted = self._unlisted(rows[0]) if rows else ()
        columns = dict(self._read(rows, unlisted))
        plain = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
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

    def _read(self, rows: Sequence[Row], unlisted: Sequence[Metric]) -> Iterator[tuple[str, Sequence[object]]]:
        """Yield each column that samples are made of; column by column is several times faster than row by row."""
        for label in self.labels:
            yield label, [value if type(value) is str else label_text(value) for value in _cells(rows, label)]
        for metric in unlisted:
            column = str(metric.value)
            yield column, numbers(_cells(rows, column), number)
        for name, described in self.columns.items():
            if described.usage == "HISTOGRAM":
                yield name, [_buckets(row, name) for row in rows]
                yield f"{name}_sum", [number(row.get(f"{name}_sum")) for row in rows]
            elif described.usage not in ("LABEL", "DISCARD"):
                yield name, self._numbers(rows, name, described)

    def _numbers(self, rows: Sequence[Row], name: str, column: Column) -> Sequence[Number]:
        """Read a column that the file lists as a number; without the column there are no samples."""
        if not rows or name not in rows[0]:
            return [None] * len(rows)
        values = _cells(rows, name)
        found = numbers(values, column.reader)
        if found.count(None) > values.count(None):
            _warn_unreadable(self.name, name)
        return found


def series_names(metric: Metric) -> set[str]:
    """Name what a metric's series are called on the page."""
    parts = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ()
    return {metric.name, *(metric.name + part for part in parts)}


def _cells(rows: Sequence[Row], column: str) -> list[object]:
    try:
        return [row[column] for row in rows]
    except KeyError:
        raise QueryError("decode", f"the rows have no column {column!r}") from None


@cache
def _warn_unreadable(query: str, column: str) -> None:
    """Log once why samples are missing."""
    _log.warning("values of a column cannot be read as its usage says, and are no samples", query=query, column=column)


def _buckets(row: Row, column: str) -> dict[float, float] | None:
    """Pair the bounds of one column with the counts of another; no bucket holds more than there are in all."""
    bounds, counts = row.get(column), row.get(f"{column}_bucket")
    total = number(row.get(f"{column}_count"))
    if not isinstance(bounds, list) or not isinstance(counts, list) or total is None:
        return None
    pairs = zip(map(number, bounds), map(number, counts), strict=False)
    found = {bound: min(count, total) for bound, count in pairs if bound is not None and count is not None}
    return {math.inf: total, **found}
