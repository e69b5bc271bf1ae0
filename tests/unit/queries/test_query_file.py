"""Query files are read strictly: every problem comes with file, line and key, all of them at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.thresholds import THRESHOLDS, Limit
from exporter.errors import ConfigError
from tests.support.factories import write
from tests.support.queries import load_query

SIZE = """\
query: |
  SELECT datname, bytes FROM sizes
labels: [datname]
metrics:
  pg_size_bytes: {type: gauge, help: "Size.", value: bytes}
"""
Rejected = Callable[[str], list[str]]


@pytest.fixture
def rejected(tmp_path: Path) -> Rejected:
    """Return a function that reads a query file of postgres and returns its problems without the path."""

    def read(text: str) -> list[str]:
        path = write(tmp_path / "sizes.yaml", text)
        with pytest.raises(ConfigError) as caught:
            load_query(path, "postgres")
        assert all(problem.startswith(f"{path}:") and "\n" not in problem for problem in caught.value.problems)
        return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]

    return read


def test_a_whole_file(tmp_path: Path) -> None:
    """Every key has its place; the name is the file's and the store the folder's."""
    text = SIZE + 'scope: server\ninterval: 5m\ntimeout: 2s\nwhen: {version: ">=15"}\nmax_series: 50\ntiming: true\n'
    query = load_query(write(tmp_path / "sizes.yaml", text + "targets: [orders*]\n"), "postgres")

    assert (query.name, query.store, query.labels) == ("sizes", "postgres", ("datname",))
    assert (query.interval, query.timeout, query.max_series, query.timing) == (300.0, 2.0, 50, True)
    assert (query.when.version, query.targets, query.databases) == (">=15", ("orders*",), ("*",))
    assert [(metric.name, metric.type, metric.help, metric.value) for metric in query.metrics] == [
        ("pg_size_bytes", "gauge", "Size.", "bytes")
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SIZE + "intervall: 5m\n", "6: intervall: unknown key"),
        (SIZE + "name: other\n", "6: name: unknown key"),
        (SIZE + "store: qdrant\n", "6: store: unknown key"),
        (SIZE + "interval: 300\n", "6: interval: '300' is not a duration such as 500ms, 15s, 5m or 1h30m"),
        (SIZE + "scope: all\n", "6: scope: expected 'server' or 'database'"),
        (SIZE + "max_series: 0\n", "6: max_series: expected greater than 0"),
        (SIZE + "max_series: '5'\n", "6: max_series: expected a valid integer"),
        (SIZE + "labels: datname\n", "6: labels: the key is there twice"),
        (SIZE + "when: {version: 15}\n", "6: when.version: expected a valid string"),
        (SIZE + "when: {version: '15'}\n", "6: when.version: '15' is not a version clause such as '>=15'"),
        (SIZE + "when: {versoin: '>=15'}\n", "6: when.versoin: unknown key"),
        (SIZE + "params: {a: 1}\n", "6: params: only an operation takes params"),
        (SIZE + "health: {check: size}\n", "6: health: needs either metric or status"),
        (SIZE + "  pg_size_bytes: {}\n", "6: pg_size_bytes: the key is there twice"),
        (SIZE.replace("gauge", "guage"), "5: metrics.pg_size_bytes.type: expected 'gauge', 'counter', 'histogram'"),
        (SIZE.replace("type: gauge, ", ""), "5: metrics.pg_size_bytes.type: required, but not there"),
        (SIZE.replace("help", "halp"), "5: metrics.pg_size_bytes.halp: unknown key"),
        (SIZE.replace('"Size."', '""'), "5: metrics.pg_size_bytes: help is empty"),
        (SIZE.replace("[datname]", "[target]"), "3: labels.0: 'target' cannot be a label here"),
        (SIZE.replace("[datname]", "datname"), "3: labels: expected a list"),
        ("query: SELECT 1\nmetrics:\n  - pg_size_bytes\n", "2: metrics: expected metric names, each with its keys"),
        ("query: SELECT 1\nmetrics:\n  pg_a: gauge\n", "3: metrics.pg_a: expected keys and values"),
        ("query: SELECT 1\nmetrics:\n", "2: metrics: expected metric names, each with its keys"),
        ("operation: [x]\n", "1: operation: postgres has no operation ['x']; there is "),
        ("operation: fly\n", "1: operation: postgres has no operation 'fly'; there is "),
    ],
)
def test_a_wrong_file(rejected: Rejected, text: str, problem: str) -> None:
    """The line is where the key is."""
    assert problem in " ".join(rejected(text))


def test_a_query_is_text_or_text_by_version(rejected: Rejected) -> None:
    """A version without quotes is a number, and 5.10 would be 5.1."""
    found = rejected(SIZE.replace("query: |\n  SELECT datname, bytes FROM sizes\n", "query: {5.10: SELECT 1}\n"))

    assert found == ['1: query: expected a text, or texts by version, each version in quotes: {"14": ...}']


def test_all_problems_of_a_file_come_at_once(rejected: Rejected) -> None:
    """One run reports every typing error."""
    text = SIZE.replace("gauge", "guage").replace("value: bytes", "vaule: bytes") + "interval: 5\nstore: x\n"

    assert [problem.split(": ")[0:2] for problem in sorted(rejected(text))] == [
        ["5", "metrics.pg_size_bytes.type"],
        ["5", "metrics.pg_size_bytes.vaule"],
        ["6", "interval"],
        ["7", "store"],
    ]


def test_operations_check_their_params(tmp_path: Path) -> None:
    """A params key that the operation does not know is reported with its line."""
    text = "operation: search\nparams:\n  collection: docs\n  colour: red\ntiming: true\n"
    path = write(tmp_path / "canary.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_query(path, "qdrant")

    assert f"{path}:4: params.colour: unknown key" in caught.value.problems


RULE = "health: {check: size, metric: pg_size_bytes, threshold: disk_used_ratio}\n"


def test_a_threshold_is_looked_up(tmp_path: Path) -> None:
    """The table's limits are the rule's, and the user's table counts."""
    path = write(tmp_path / "sizes.yaml", SIZE + RULE)
    query = load_query(path, "postgres", {"disk_used_ratio": Limit(warn=0.5, fail=0.6)})

    assert query.health is not None
    assert (query.health.warn_above, query.health.fail_above) == (0.5, 0.6)


@pytest.mark.parametrize("name", ["disk", "[disk]", "{a: 1}"])
def test_a_threshold_must_be_in_the_table(rejected: Rejected, name: str) -> None:
    assert rejected(SIZE + RULE.replace("disk_used_ratio", name))[0].startswith(
        f"6: health.threshold: there is no such threshold; there are {', '.join(sorted(THRESHOLDS))}"
    )


def test_a_core_metric_brings_its_type_and_help(tmp_path: Path) -> None:
    """It is declared in one place; a file only feeds it."""
    text = "query: SELECT 1\nmetrics:\n  datatier_saturation_ratio: {labels: {resource: disk}, value: used}\n"
    [metric] = load_query(write(tmp_path / "disk.yaml", text), "postgres").metrics

    assert (metric.type, metric.labels) == ("gauge", {"resource": "disk"})
    assert metric.help.startswith("Used share")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("datatier_saturation_ratio: {value: used}", "needs exactly the labels resource"),
        ("datatier_saturation_ratio: {labels: {disk: a}, value: used}", "needs exactly the labels resource"),
        ("datatier_saturation_ratio: {labels: {resource: a}, value: used, type: gauge}", "a core metric has its own"),
        ("datatier_up: {value: used}", "the exporter makes this metric itself"),
    ],
)
def test_a_wrong_entry_for_a_core_metric(rejected: Rejected, entry: str, problem: str) -> None:
    """Wrong labels would make a second kind of series under one name."""
    found = rejected(f"query: SELECT 1\nmetrics:\n  {entry}\n")

    assert problem in " ".join(found)
    assert all(message.startswith("3: metrics.datatier_") for message in found)
