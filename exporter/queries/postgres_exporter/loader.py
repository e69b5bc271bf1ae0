"""Read postgres_exporter's queries.yaml: each namespace becomes a query."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from exporter.config.documents import KeyPath, YamlDocument, read_document
from exporter.errors import ConfigError
from exporter.queries.conditions import Conditions
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.lint import LABEL_NAME, METRIC_NAME
from exporter.queries.postgres_exporter.query import Column, ImportedQuery, series_names
from exporter.queries.query import Metric, MetricType

_MAX_SERIES = 100_000  # these files have no limit of their own, and tables are many
_SLOW_FROM = 60  # seconds between two runs; a query that runs less often may take longer
_SLOW_TIMEOUT = "30s"
_LONGEST_CACHE = 366 * 86400
_LONGEST_RANGE = 200
_CLAUSE = re.compile(r"(>=|<=|==|>|<|=)?\s*v?(\d+(?:\.\d+)*)")
# The name that its column gets: an alias, or its own.
_DATABASE = re.compile(
    r'\b(current_database\s*\(\s*\)|current_catalog)(?:\s*::\s*\w+)?(?:\s+(?:AS\s+)?"?(\w+)"?)?', re.IGNORECASE
)
_TYPES: Mapping[str, MetricType] = {"COUNTER": "unknown", "HISTOGRAM": "histogram"}


class _Lenient(BaseModel):
    """Ignore unknown keys and keys without a value, as postgres_exporter does."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_values(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class _Column(_Lenient, Column):
    pass


class _Namespace(_Lenient):
    query: str = ""
    master: bool = False
    cache_seconds: int = Field(default=0, ge=0, le=_LONGEST_CACHE)
    runonserver: str = ""
    metrics: tuple[dict[str, _Column], ...] = ()


def load_queries_yaml(path: Path) -> tuple[ImportedQuery, ...]:
    """Read the file; raise ConfigError with every problem. A namespace without a query asks nothing."""
    document = read_document(path)
    queries: list[ImportedQuery] = []
    problems: list[str] = []
    for namespace, entry in document.data.items():
        try:
            queries += _queries(document, namespace, entry)
        except ConfigError as error:
            problems += error.problems
    problems += _named_twice(document, queries)
    if problems:
        raise ConfigError(problems)
    return tuple(queries)


def _queries(document: YamlDocument, namespace: str, entry: object) -> Iterator[ImportedQuery]:
    parsed = document.validate(_Namespace, entry or {}, lambda key: (namespace, *key))
    columns = {name: Column(**dict(column)) for entry in parsed.metrics for name, column in entry.items()}
    labels = tuple(name for name, column in columns.items() if column.usage == "LABEL")
    metrics = tuple(_metrics(document.path.name, namespace, columns))
    problems = [document.error_at(key, message) for key, message in _broken(namespace, parsed, labels, metrics)]
    version, problem = _version(parsed.runonserver)
    if problem:
        problems.append(document.error_at((namespace, "runonserver"), problem))
    if problems:
        raise ConfigError(problems)
    if not parsed.query.strip():
        return
    inside = not parsed.master and _DATABASE.search(parsed.query) is not None
    yield ImportedQuery(
        name=f"{document.path.name}:{namespace}",
        store="postgres",
        namespace=namespace,
        query=parsed.query,
        scope="database" if inside else "server",
        database_label=_database_label(parsed.query, labels) if inside else None,
        interval=f"{parsed.cache_seconds}s" if parsed.cache_seconds else None,  # type: ignore[arg-type]  # parsed
        timeout=_SLOW_TIMEOUT if parsed.cache_seconds > _SLOW_FROM else "5s",  # type: ignore[arg-type]  # parsed
        when=Conditions(version=version),
        columns=columns,
        labels=labels,
        metrics=metrics,
        max_series=_MAX_SERIES,
        untrusted=True,
    )


def _metrics(file: str, namespace: str, columns: Mapping[str, Column]) -> Iterator[Metric]:
    for name, column in columns.items():
        if column.usage in ("LABEL", "DISCARD"):
            continue
        full = f"{namespace}_{name}" + ("_milliseconds" if column.usage == "DURATION" else "")
        yield Metric(
            name=full,
            type="counter"
            if column.usage == "COUNTER" and full.endswith("_total")
            else _TYPES.get(column.usage, "gauge"),
            help=column.description.strip() or f"Column {name} of {namespace} in {file}.",
            value=name,
            sum=f"{name}_sum" if column.usage == "HISTOGRAM" else None,
        )


def _broken(
    namespace: str, parsed: _Namespace, labels: Iterable[str], metrics: Iterable[Metric]
) -> Iterator[tuple[KeyPath, str]]:
    lines: dict[str, KeyPath] = {
        name: (namespace, "metrics", index, name) for index, entry in enumerate(parsed.metrics) for name in entry
    }
    for label in labels:
        if label in ("target", "le"):
            yield lines[label], f"{label!r} cannot be a label: the exporter has one of this name"
        elif not LABEL_NAME.fullmatch(label):
            yield lines[label], f"{label!r} is not a label name"
    for metric in metrics:
        line = lines[str(metric.value)]
        if not METRIC_NAME.fullmatch(metric.name):
            yield line, f"{metric.name} is not a metric name"
        elif metric.name in CORE_METRICS or metric.name.startswith("datatier_"):
            yield line, f"the exporter makes {metric.name} itself"


def _named_twice(document: YamlDocument, queries: Iterable[ImportedQuery]) -> Iterator[str]:
    first: dict[str, str] = {}
    for query in queries:
        for metric in query.metrics:
            column = f"{query.namespace}.{metric.value}"
            for name in series_names(metric):
                other = first.setdefault(name, column)
                if other != column:
                    yield document.error_at((query.namespace, "metrics"), f"{other} and {column} both make {name}")


def _version(text: str) -> tuple[str | None, str | None]:
    """Return the clauses of a range such as '>=13.0.0 <15.0.0' as our conditions have them, or the problem."""
    if len(text) > _LONGEST_RANGE:
        return None, f"a range of versions has at most {_LONGEST_RANGE} characters"
    clauses = [f"{'==' if sign in ('', '=') else sign}{version}" for sign, version in _CLAUSE.findall(text)]
    if _CLAUSE.sub("", text).strip(" ,") or bool(text.strip()) != bool(clauses):
        return None, f"{text!r} is not understood; write it like '>=13.0.0 <15.0.0'"
    return ",".join(clauses) or None, None


def _database_label(sql: str, labels: Iterable[str]) -> str | None:
    """Return the label that holds the database of a row, if there is one."""
    for match in _DATABASE.finditer(sql):
        for name in (match[2], match[1].partition("(")[0].strip().lower()):
            if name in labels:
                return str(name)
    return "datname" if "datname" in labels else None
