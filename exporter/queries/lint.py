"""Rules for a query file as a whole, each key of which is valid by itself."""

import re
from collections.abc import Callable, Iterator

from exporter.config.documents import KeyPath
from exporter.config.stores import DATABASE_LABELS
from exporter.config.thresholds import BEYOND_ONE, is_share
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.cypher_text import forbidden
from exporter.queries.health_rule import DURATION, HealthRule
from exporter.queries.query import Metric, Query

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_VERSION = re.compile(r"\d+(\.\d+)*")
_RESERVED_LABELS = {"target", "store", "le", "quantile"}
_NOT_A_BASE_UNIT = re.compile(
    r"_(ms|msec|millis|milliseconds|us|microseconds|ns|nanoseconds|minutes|hours|days|weeks|percent|pct"
    r"|kb|mb|gb|tb|kib|mib|gib|kilobytes|megabytes|gigabytes)(_total|_info)?$"
)
_SUFFIXES_OF_OTHERS = ("_total", "_count", "_sum", "_bucket", "_info")

_METRIC_RULES: tuple[tuple[Callable[[Metric], object], str], ...] = (
    (lambda m: not METRIC_NAME.fullmatch(m.name), "is not a metric name"),
    (lambda m: m.name.startswith("datatier_"), "the prefix datatier_ is the exporter's own"),
    (lambda m: not m.help.strip(), "help is empty"),
    (
        lambda m: m.type == "counter" and not m.name.endswith("_total"),
        "a counter's name ends in _total (type unknown is for inherited names without it)",
    ),
    (lambda m: m.type == "info" and not m.name.endswith("_info"), "an info metric's name ends in _info"),
    (
        lambda m: m.type in ("gauge", "histogram") and m.name.endswith(_SUFFIXES_OF_OTHERS),
        f"a gauge's or histogram's name does not end in {', '.join(_SUFFIXES_OF_OTHERS)}",
    ),
    (lambda m: m.type != "unknown" and _NOT_A_BASE_UNIT.search(m.name), "use base units: seconds, bytes, ratio"),
    (
        lambda m: (m.value is None) != (m.type == "info"),
        "value: names the column of the value; an info metric has none",
    ),
    (lambda m: m.sum is not None and m.type != "histogram", "only a histogram has a sum"),
)


def lint(query: Query) -> Iterator[tuple[KeyPath, str]]:
    """Yield the key and the message of each problem."""
    if (query.query is None) == (query.operation is None):
        yield ("query",), "a query file has either a query or an operation"
    if query.scope == "database" and query.store not in DATABASE_LABELS:
        yield ("scope",), f"{query.store} has no databases to visit"
    if not query.metrics and not query.timing and query.health is None and query.findings is None:
        yield ("metrics",), "without metrics, timing, health or findings the query has no effect"
    for version in query.query if isinstance(query.query, dict) else ():
        if not _VERSION.fullmatch(version):
            yield ("query", version), f"{version!r} is not a version such as '14' or '5.26'"
    if query.store == "neo4j":
        yield from _lint_cypher(query)
    yield from _lint_labels(query)
    for metric in query.metrics:
        problems = _lint_core_metric(metric, query) if metric.name in CORE_METRICS else _lint_metric(metric, query)
        for message in problems:
            yield ("metrics", metric.name), message
    if query.health is not None:
        yield from _lint_health(query.health, query)


def _lint_cypher(query: Query) -> Iterator[tuple[KeyPath, str]]:
    """Reject statements that do more than read, although a session opened for reading would run them."""
    texts = query.query if isinstance(query.query, dict) else {None: query.query or ""}
    for version, text in texts.items():
        if found := forbidden(text):
            key = ("query",) if version is None else ("query", version)
            yield key, f"{found} does more than read: what changes the server or opens files is not run"


def _lint_labels(query: Query) -> Iterator[tuple[KeyPath, str]]:
    taken = _RESERVED_LABELS | _added_label(query)
    for index, label in enumerate(query.labels):
        if not LABEL_NAME.fullmatch(label) or label in taken:
            message = f"{label!r} cannot be a label here: it is reserved, there already, or no label name"
            yield ("labels", index), message
        taken.add(label)


def _added_label(query: Query) -> set[str]:
    return {DATABASE_LABELS[query.store]} if query.scope == "database" and query.store in DATABASE_LABELS else set()


def _lint_core_metric(metric: Metric, query: Query) -> Iterator[str]:
    core = CORE_METRICS[metric.name]
    if not core.from_queries:
        yield "the exporter makes this metric itself"
    elif sorted([*metric.labels, *query.labels, *_added_label(query)]) != sorted(core.labels):
        yield f"needs exactly the labels {', '.join(core.labels) or '(none)'}"


def _lint_metric(metric: Metric, query: Query) -> Iterator[str]:
    for broken, message in _METRIC_RULES:
        if broken(metric):
            yield message
    clash = metric.labels.keys() & ({*query.labels} | _added_label(query) | _RESERVED_LABELS)
    if clash:
        yield f"the labels {', '.join(sorted(clash))} are there already"
    for label in metric.labels:
        if not LABEL_NAME.fullmatch(label):
            yield f"{label!r} is not a label name"


def _lint_health(rule: HealthRule, query: Query) -> Iterator[tuple[KeyPath, str]]:
    yield from _lint_checks_of(rule)
    if (rule.metric is None) == (rule.status is None):
        yield ("health",), "needs either metric or status"
    if rule.metric == DURATION:
        if not query.timing:
            yield ("health", "metric"), f"{DURATION} needs timing: true"
    elif rule.metric is not None:
        judged = next((metric for metric in query.metrics if metric.name == rule.metric), None)
        if judged is None:
            yield ("health", "metric"), f"{rule.metric} is not a metric of this file"
        elif judged.type in ("histogram", "info"):
            yield ("health", "metric"), f"there is no limit to the values of type {judged.type}"
        elif is_share(rule.metric) and rule.threshold not in BEYOND_ONE:
            yield from _lint_limits_of_share(rule)
    unlimited = {rule.warn_above, rule.fail_above, rule.warn_below, rule.fail_below} == {None}
    if rule.metric is not None and unlimited:
        yield ("health",), "needs a limit: threshold, warn_above, fail_above, warn_below or fail_below"
    if rule.status is not None and not unlimited:
        yield ("health",), "rows that bring their own status need no limit"


def _lint_checks_of(rule: HealthRule) -> Iterator[tuple[KeyPath, str]]:
    if (rule.check is None) == (rule.check_column is None):
        yield ("health",), "needs either check or check_column"
    if rule.check_column is not None and rule.status is None:
        yield ("health", "check_column"), "needs status: the rows of each check bring their own"


def _lint_limits_of_share(rule: HealthRule) -> Iterator[tuple[KeyPath, str]]:
    for key in ("warn_above", "fail_above", "warn_below", "fail_below"):
        limit = getattr(rule, key)
        if limit is not None and not (0 <= limit < 1 if key.endswith("above") else 0 < limit <= 1):
            yield ("health", key), f"{limit:g}: a ratio goes from 0 to 1, 80 % is 0.8"
