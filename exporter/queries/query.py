"""Queries, and how their rows become samples; nothing here touches a file, a clock or a network."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice, starmap
from operator import itemgetter
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from exporter.config.stores import DATABASE_LABELS
from exporter.errors import QueryError
from exporter.queries.conditions import Conditions, ServerInfo
from exporter.queries.health_rule import (
    DURATION,
    CheckOutcome,
    HealthRule,
    JudgedRow,
    worst_statuses,
    worst_value,
)
from exporter.queries.histogram import HistogramValue, cumulative_buckets
from exporter.queries.values import Labels, checks_of, findings_of, labels_of, most_common, statuses_of
from exporter.units import Duration
from exporter.versions import version_key

MetricType = Literal["gauge", "counter", "histogram", "info", "unknown"]
Row = Mapping[str, object]
Value = float | HistogramValue | None

_PLAIN = frozenset({float, type(None)})  # types of values that need no conversion
_MOST_FINDINGS = 100


class Metric(BaseModel):
    """Name one metric and the columns of its value and, for a histogram, of its sum.

    needs: the capability of the server without which its values mean nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    type: MetricType
    help: str
    value: str | None = None
    sum: str | None = None
    needs: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class Family(NamedTuple):
    """Hold one metric's samples: labels[i] belongs to values[i]; a value of None is no sample.

    series: how many Prometheus will store; a histogram is one for each bucket, and two where it has a sum.
    """

    metric: Metric
    labels: Sequence[Labels]
    values: Sequence[Value]
    series: int


class Query(BaseModel):
    """Describe what is asked of a store, and the samples that its rows become.

    query: a text, or texts by the lowest version of the server. step_every: seconds between two steps of its operation.
    findings: the column with the names of what is wrong. privilege: what the role needs, else it sees less.
    targets, databases: globs of their names. source: where the facts behind it are documented.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    store: str
    query: str | dict[str, str] | None = None
    operation: str | None = None
    params: BaseModel | None = None
    scope: Literal["server", "database"] = "server"
    interval: Duration | None = None
    timeout: Duration = 5.0
    when: Conditions = Conditions()
    labels: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    max_series: int = Field(default=1000, gt=0)
    timing: bool = False
    health: HealthRule | None = None
    findings: str | None = None
    privilege: str | None = None
    step_every: float | None = None
    untrusted: bool = False  # written by a user: its store lets it read, and nothing else
    targets: tuple[str, ...] = ("*",)
    databases: tuple[str, ...] = ("*",)
    source: str | None = None

    @field_validator("query", mode="before")
    @classmethod
    def _text_or_texts(cls, value: object) -> object:
        texts = (
            [text for pair in value.items() for text in pair]
            if isinstance(value, dict)
            else ["" if value is None else value]
        )
        if not all(isinstance(text, str) for text in texts):
            raise ValueError('expected a text, or texts by version, each version in quotes: {"14": ...}')
        return value

    @property
    def label_names(self) -> set[str]:
        """Name every label that its samples bring themselves."""
        constant = {label for metric in self.metrics for label in metric.labels}
        return constant.union(self.labels, [DATABASE_LABELS[self.store]] if self.scope == "database" else [])

    def text(self, version: str) -> str:
        """Return the text for a server version; raise QueryError where the server is too old for any."""
        if isinstance(self.query, str):
            return self.query
        texts = sorted(((version_key(k), v) for k, v in (self.query or {}).items()), reverse=True)
        for lowest, text in texts:
            if version_key(version) >= lowest:
                return text
        raise QueryError("unsupported", f"needs version >={min(self.query or {'?': ''}, key=version_key)}")

    def samples(self, rows: Sequence[Row], extra: Labels = ()) -> list[Family]:
        """Turn rows into one family a metric, `extra` labels added to each sample.

        NULL is no sample. Raises QueryError for a missing column, a value that is no number, two rows with the same
        labels, or more than `max_series` samples.
        """
        labels = labels_of(self.labels, rows, extra)
        if self.metrics and len(set(labels)) != len(rows):
            raise QueryError(
                "decode", f"two rows have the same labels {most_common(labels)}", len(rows) * len(self.metrics)
            )
        families = [_family(metric, labels, rows) for metric in self.metrics]
        series = sum(family.series for family in families)
        if series > self.max_series:
            raise QueryError("limit", f"{series} series are more than max_series {self.max_series}", series)
        return families

    def outcomes(
        self, rows: Sequence[Row], families: Sequence[Family], seconds: float = 0.0
    ) -> tuple[CheckOutcome, ...]:
        """Judge the rows, or the seconds they took, by the health rule: one outcome a check that has any to judge."""
        rule = self.health
        if rule is None:
            return ()
        if rule.status is not None:
            named = [self._named_in([row]) for row in rows]
            judged = zip(self._checks_of(rows), statuses_of(rule.status, rows), named, strict=True)
            return worst_statuses(rule, starmap(JudgedRow, judged))
        if rule.metric == DURATION:
            return worst_value(rule, [seconds])
        values = [value for family in families if family.metric.name == rule.metric for value in family.values]
        found = self._named_in(rows)
        return tuple(worst._replace(findings=found) for worst in worst_value(rule, values))

    def findings_in(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Return the names in the rows' column of findings, a hundred at most.

        Where each row has its check, that comes first, as in `apex-daily: empty`, and no check takes another's room.
        """
        if self.health is None or self.health.check_column is None:
            return self._named_in(rows)
        names = self._checks_of(rows)
        room = max(1, _MOST_FINDINGS // max(1, len(set(names))))
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name, row in zip(names, rows, strict=True):
            found[name] += self._named_in([row])
        return tuple(f"{name}: {finding}" for name, findings in found.items() for finding in findings[:room])

    def _named_in(self, rows: Sequence[Row]) -> tuple[str, ...]:
        return tuple(islice(findings_of(self.findings, rows), _MOST_FINDINGS)) if self.findings else ()

    def _checks_of(self, rows: Sequence[Row]) -> list[str]:
        """Name the check of each row."""
        rule = self.health
        if rule is not None and rule.check_column is not None:
            return checks_of(rule.check_column, rows)
        return [rule.name if rule else ""] * len(rows)


def unsupported(query: Query, info: ServerInfo) -> QueryError | None:
    """Return why this server cannot answer the query, or None when it can."""
    reason = query.when.unmet(info)
    return QueryError("unsupported", reason) if reason else None


def measured(families: Iterable[Family], info: ServerInfo) -> tuple[Family, ...]:
    """Leave out the metrics that need a capability which the server lacks: its 0 is no measurement."""
    return tuple(f for f in families if f.metric.needs is None or info.capabilities.get(f.metric.needs) == "")


def _family(metric: Metric, labels: Sequence[Labels], rows: Sequence[Row]) -> Family:
    values = _values(metric, rows)
    if metric.type != "histogram":
        return Family(metric, labels, values, len(values) - values.count(None))
    histograms = [value for value in values if isinstance(value, HistogramValue)]
    series = sum(len(value.buckets) + 2 * (value.sum is not None) for value in histograms)
    return Family(metric, labels, values, series)


def _values(metric: Metric, rows: Sequence[Row]) -> Sequence[Value]:
    if metric.value is None:
        return [1.0] * len(rows)
    try:
        column = list(map(itemgetter(metric.value), rows))
    except KeyError:
        raise QueryError("decode", f"{metric.name}: the rows have no column {metric.value!r}") from None
    if metric.type == "histogram":
        return [_histogram(metric, row, value) for row, value in zip(rows, column, strict=True)]
    numbers = column if _PLAIN.issuperset(map(type, column)) else [_number(metric, value) for value in column]
    if metric.type == "counter" and not all(value >= 0 for value in numbers if value is not None):
        raise QueryError("decode", f"{metric.name}: column {metric.value!r} holds less than 0, or NaN: no counter")
    return numbers


def _number(metric: Metric, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float | Decimal):  # bool is an int: true counts as 1
        try:
            return float(value)
        except (OverflowError, ValueError):
            raise QueryError("decode", f"{metric.name}: column {metric.value!r} holds what no float can") from None
    raise QueryError("decode", f"{metric.name}: column {metric.value!r} holds {type(value).__name__}, no number")


def _histogram(metric: Metric, row: Row, value: object) -> HistogramValue | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise QueryError("decode", f"{metric.name}: column {metric.value!r} holds no buckets")
    try:
        buckets = cumulative_buckets(value)
    except ValueError as error:
        raise QueryError("decode", f"{metric.name}: {error}") from None
    total = _number(metric, row.get(metric.sum)) if metric.sum else None
    return HistogramValue(buckets, total) if buckets else None
