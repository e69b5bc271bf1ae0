"""Each rule for query files, broken alone."""

from typing import Any

import pytest

from exporter.config.documents import KeyPath
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.health_rule import HealthRule
from exporter.queries.lint import lint
from tests.support.factories import metric, query


def problems(**changes: Any) -> list[tuple[KeyPath, str]]:
    return list(lint(query(**changes)))


def of_metric(name: str = "pg_size_bytes", **changes: Any) -> list[str]:
    """Return the messages about a metric, each of which must have its key."""
    found = problems(metrics=(metric(name, **changes),))
    assert {key for key, _ in found} <= {("metrics", name)}
    return [message for _, message in found]


def fed(name: str = "datatier_saturation_ratio", labels: dict[str, str] | None = None) -> Any:
    return CORE_METRICS[name].metric.model_copy(update={"value": "bytes", "labels": labels or {}})


def test_a_good_query_has_no_problems() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pg_calls_total", "counter"),
        ("pg_calls", "unknown"),
        ("pg_stat_database_xact_commit", "unknown"),
        ("pg_locks_count", "unknown"),
        ("pg_time_milliseconds", "unknown"),
        ("pg_time_seconds", "histogram"),
        ("pg_minutes_kept", "gauge"),
    ],
)
def test_good_names(name: str, kind: str) -> None:
    """Type unknown allows inherited names."""
    assert of_metric(name, type=kind) == []


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("pg-size", {}, "is not a metric name"),
        ("1st", {}, "is not a metric name"),
        ("größe", {}, "is not a metric name"),
        ("pg_size\n", {}, "is not a metric name"),
        ("datatier_mine", {}, "the prefix datatier_ is the exporter's own"),
        ("pg_size_bytes", {"help": "  "}, "help is empty"),
        ("pg_calls", {"type": "counter"}, "a counter's name ends in _total"),
        ("pg_version", {"type": "info", "value": None}, "an info metric's name ends in _info"),
        ("pg_calls_total", {}, "a gauge's or histogram's name does not end in"),
        ("pg_calls_count", {}, "a gauge's or histogram's name does not end in"),
        ("pg_wait_sum", {"type": "histogram"}, "a gauge's or histogram's name does not end in"),
        ("pg_app_info", {}, "a gauge's or histogram's name does not end in"),
        ("pg_time_ms", {}, "use base units"),
        ("pg_time_milliseconds_total", {"type": "counter"}, "use base units"),
        ("pg_hit_percent", {}, "use base units"),
        ("pg_size_kb", {}, "use base units"),
        ("pg_size_bytes", {"value": None}, "value: names the column of the value"),
        ("pg_app_info", {"type": "info"}, "an info metric has none"),
        ("pg_size_bytes", {"sum": "total"}, "only a histogram has a sum"),
        ("pg_size_bytes", {"labels": {"datname": "x"}}, "the labels datname are there already"),
        ("pg_size_bytes", {"labels": {"target": "x", "store": "y"}}, "the labels store, target are there already"),
        ("pg_size_bytes", {"labels": {"a-b": "x"}}, "'a-b' is not a label name"),
        ("pg_size_bytes", {"labels": {"__name__": "x"}}, "'__name__' is not a label name"),
    ],
)
def test_a_bad_metric(name: str, changes: dict[str, Any], message: str) -> None:
    """One fault, one message."""
    [found] = of_metric(name, **changes)

    assert message in found


@pytest.mark.parametrize("label", ["target", "store", "le", "quantile", "__name__", "a-b", "1st", "", "a\n"])
def test_a_label_that_cannot_be(label: str) -> None:
    """What is added elsewhere, or means something to Prometheus, is no label of a row."""
    [(key, message)] = problems(labels=("datname", label))

    assert (key, message.startswith(f"{label!r} cannot be a label here")) == (("labels", 1), True)


def test_a_label_is_there_once() -> None:
    """Prometheus rejects a page with a label that is there twice."""
    [(key, _)] = problems(labels=("datname", "datname"))

    assert key == ("labels", 1)


def test_a_label_that_the_scope_adds() -> None:
    """A query in every database has the label datname without asking."""
    [(key, _)] = problems(scope="database", labels=("datname",))

    assert key == ("labels", 0)


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"query": None}, ("query",), "either a query or an operation"),
        ({"operation": "count"}, ("query",), "either a query or an operation"),
        ({"store": "qdrant", "scope": "database"}, ("scope",), "qdrant has no databases to visit"),
        ({"metrics": ()}, ("metrics",), "has no effect"),
        ({"query": {"14": "a", "fifteen": "b"}}, ("query", "fifteen"), "'fifteen' is not a version"),
        ({"query": {">=15": "b"}}, ("query", ">=15"), "'>=15' is not a version"),
    ],
)
def test_a_query_that_cannot_be(changes: dict[str, Any], key: KeyPath, message: str) -> None:
    [(found, text)] = problems(**changes)

    assert found == key
    assert message in text


@pytest.mark.parametrize(
    "changes",
    [
        {"timing": True},
        {"health": {"check": "size", "status": "state"}},
        {"health": {"check_column": "job", "status": "state"}},
    ],
)
def test_a_query_without_metrics_may_time_or_judge(changes: dict[str, Any]) -> None:
    assert problems(metrics=(), **changes) == []


@pytest.mark.parametrize(
    ("labels", "constant", "good"),
    [((), {"resource": "disk"}, True), (("resource",), {}, True), ((), {}, False), (("resource", "path"), {}, False),
     (("resource",), {"resource": "disk"}, False)],
)  # fmt: skip
def test_a_core_metric_needs_exactly_its_labels(
    labels: tuple[str, ...],
    constant: dict[str, str],
    good: bool,  # noqa: FBT001 - a table's column
) -> None:
    """They come from rows or are constant, each once."""
    found = problems(labels=labels, metrics=(fed(labels=constant),))

    wrong = (("metrics", "datatier_saturation_ratio"), "needs exactly the labels resource")
    assert found == ([] if good else [wrong])


def test_some_core_metrics_are_the_exporters_own() -> None:
    """The exporter alone makes the metric that a target is up."""
    found = problems(labels=(), metrics=(fed("datatier_up"),))

    assert found == [(("metrics", "datatier_up"), "the exporter makes this metric itself")]


@pytest.mark.parametrize(
    ("rule", "key", "message"),
    [
        ({}, ("health",), "needs either metric or status"),
        ({"metric": "pg_size_bytes", "status": "state", "warn_above": 1.0}, ("health",), "needs either"),
        ({"metric": "pg_size_bytes"}, ("health",), "needs a limit"),
        ({"metric": "pg_other", "warn_above": 1.0}, ("health", "metric"), "pg_other is not a metric of this file"),
        ({"status": "state", "warn_above": 1.0}, ("health",), "need no limit"),
        ({"check": None, "status": "state"}, ("health",), "needs either check or check_column"),
        ({"check_column": "job", "status": "state"}, ("health",), "needs either check or check_column"),
        ({"check": None, "check_column": "job"}, ("health", "check_column"), "needs status"),
        (
            {"check": None, "check_column": "job", "metric": "pg_size_bytes", "warn_above": 1.0},
            ("health", "check_column"),
            "needs status",
        ),
    ],
)
def test_a_health_rule_that_cannot_be(rule: dict[str, Any], key: KeyPath, message: str) -> None:
    """A check that could never have a result is rejected."""
    found = problems(health={"check": "size", **rule})

    assert (key, True) in [(where, message in text) for where, text in found]


def test_a_histogram_has_no_limit() -> None:
    """Its value is no number."""
    judged = metric("pg_wait_seconds", type="histogram")
    found = problems(metrics=(judged,), health={"check": "w", "metric": "pg_wait_seconds", "warn_above": 1.0})

    assert found == [(("health", "metric"), "there is no limit to the values of type histogram")]


@pytest.mark.parametrize(
    ("name", "limits", "problem"),
    [
        ("jobs_used_ratio", {"warn_above": 80.0}, ("health", "warn_above")),
        ("jobs_used_ratio", {"warn_above": 0.8, "fail_above": 1.0}, ("health", "fail_above")),
        ("jobs_used_ratio", {"warn_above": -0.1}, ("health", "warn_above")),
        ("jobs_used_ratio", {"warn_below": 20.0}, ("health", "warn_below")),
        ("jobs_used_ratio", {"fail_below": 0.0}, ("health", "fail_below")),
        ("jobs_used_ratio", {"warn_above": 0.8, "fail_above": 0.9}, None),
        ("jobs_used_ratio", {"warn_below": 1.0, "fail_below": 0.5}, None),
        ("jobs_used_ratio", {"warn_above": 1.5, "threshold": "freeze_ratio"}, None),
        ("jobs_waiting", {"warn_above": 80.0}, None),
    ],
)
def test_limits_of_a_ratio(name: str, limits: dict[str, Any], problem: KeyPath | None) -> None:
    """They lie within the range of its values: 80, a percentage, would never be exceeded."""
    rule = HealthRule.model_validate({"check": "jobs", "metric": name, **limits})

    assert [key for key, _ in problems(metrics=(metric(name),), health=rule)] == ([problem] if problem else [])
