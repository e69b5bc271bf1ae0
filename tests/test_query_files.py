"""Query files are read strictly: what is wrong is told with file, line and key, all of it at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import query_files
from exporter.datastores import STORES
from exporter.query_files import builtin_folder, load_queries, load_query
from exporter.thresholds import Limit
from exporter.yaml_file import ConfigError
from tests.making import write

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
    """Nobody likes to run a command once for every typing error."""
    text = SIZE.replace("gauge", "guage").replace("value: bytes", "vaule: bytes") + "interval: 5\nstore: x\n"

    assert [problem.split(": ")[0:2] for problem in sorted(rejected(text))] == [
        ["5", "metrics.pg_size_bytes.type"],
        ["5", "metrics.pg_size_bytes.vaule"],
        ["6", "interval"],
        ["7", "store"],
    ]


def test_operations_check_their_params(tmp_path: Path) -> None:
    """A params key that the operation does not know is told with its line."""
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
        "6: health.threshold: there is no such threshold; there are connections_used_ratio, disk_used_ratio"
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
def test_a_core_metric_fed_wrongly(rejected: Rejected, entry: str, problem: str) -> None:
    """Wrong labels would make a second kind of series under one name."""
    found = rejected(f"query: SELECT 1\nmetrics:\n  {entry}\n")

    assert problem in " ".join(found)
    assert all(message.startswith("3: metrics.datatier_") for message in found)


Files = Callable[..., tuple[str, ...]]


@pytest.fixture
def builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an empty folder in place of the built-in queries."""
    folder = tmp_path / "builtin"
    (folder / "postgres").mkdir(parents=True)
    monkeypatch.setattr(query_files, "builtin_folder", lambda: folder)
    return folder


@pytest.fixture
def users(tmp_path: Path) -> Path:
    folder = tmp_path / "queries.d"
    (folder / "postgres").mkdir(parents=True)
    return folder


def rejects(*folders: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_queries(["postgres"], folders)
    return caught.value.problems


def test_a_users_file_replaces_the_built_in_of_its_name(builtin: Path, users: Path) -> None:
    """Even when it declares other metrics."""
    write(builtin / "postgres/sizes.yaml", SIZE)
    write(users / "postgres/sizes.yaml", SIZE.replace("pg_size_bytes", "pg_mine_bytes"))
    [query] = load_queries(["postgres"], [users])

    assert query.metrics[0].name == "pg_mine_bytes"


def test_a_users_file_replaces_the_built_in_with_its_metric(builtin: Path, users: Path) -> None:
    """One name is declared once, and the user's word counts."""
    write(builtin / "postgres/sizes.yaml", SIZE)
    write(builtin / "postgres/others.yaml", SIZE.replace("pg_size", "pg_other"))
    write(users / "postgres/mine.yaml", SIZE)

    assert [query.name for query in load_queries(["postgres"], [users])] == ["others", "mine"]


def test_a_core_metric_may_be_fed_beside_the_built_in(builtin: Path, users: Path) -> None:
    """It is nobody's own; only the very same labels are a conflict."""
    fed = "query: SELECT 1\nmetrics:\n  datatier_saturation_ratio: {labels: {resource: NAME}, value: used}\n"
    write(builtin / "postgres/disk.yaml", fed.replace("NAME", "disk"))
    path = write(users / "postgres/queue.yaml", fed.replace("NAME", "queue"))
    assert [query.name for query in load_queries(["postgres"], [users])] == ["disk", "queue"]

    write(path, fed.replace("NAME", "disk"))
    other = builtin / "postgres/disk.yaml"
    assert rejects(users) == [f"{path}:3: metrics.datatier_saturation_ratio: declared in {other} already"]


def test_rows_with_labels_may_feed_a_core_metric_from_two_files(builtin: Path, users: Path) -> None:
    """Dumps and archives are two queries, and both are backups."""
    fed = "query: SELECT 1\nlabels: [check]\nmetrics:\n  datatier_backups: {value: backups}\n"
    write(builtin / "postgres/dumps.yaml", fed)
    write(users / "postgres/archives.yaml", fed)

    assert len(load_queries(["postgres"], [users])) == 2


@pytest.mark.usefixtures("builtin")
def test_a_metric_declared_twice(users: Path) -> None:
    """Both files are named, and the line of the second."""
    first = write(users / "postgres/a.yaml", SIZE)
    second = write(users / "postgres/b.yaml", SIZE)

    assert rejects(users) == [f"{second}:5: metrics.pg_size_bytes: declared in {first} already"]


@pytest.mark.usefixtures("builtin")
def test_a_file_name_in_two_folders(users: Path, tmp_path: Path) -> None:
    """A query is known by its name, in metrics as in /health."""
    first = write(users / "postgres/a.yaml", SIZE)
    second = write(tmp_path / "more.d/postgres/a.yaml", SIZE.replace("pg_size", "pg_other"))

    assert rejects(users, tmp_path / "more.d") == [f"{second}:1: declared in {first} already"]


@pytest.mark.usefixtures("builtin")
def test_a_folder_named_twice_is_read_once(users: Path) -> None:
    write(users / "postgres/a.yaml", SIZE)

    assert len(load_queries(["postgres"], [users, users])) == 1


@pytest.mark.usefixtures("builtin")
def test_problems_of_all_files_come_at_once(users: Path) -> None:
    """Of all folders, too."""
    first = write(users / "postgres/a.yaml", "queri: x\n")
    second = write(users / "postgres/b.yaml", "interval: 5\n")

    assert {problem.split(":")[0] for problem in rejects(users)} == {str(first), str(second)}


@pytest.mark.usefixtures("builtin")
@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("postgresql/a.yaml", "postgresql: no store has this name; there are minio, neo4j, postgres, qdrant"),
        ("a.yaml", "a.yaml: a query file lies in the folder of its store: minio, neo4j, postgres, qdrant"),
        ("postgres/a.yml", "postgres/a.yml: a query file's name ends in .yaml"),
    ],
)
def test_a_file_that_would_never_be_read(users: Path, place: str, problem: str) -> None:
    """Silence would leave its author waiting for a metric."""
    write(users / place, SIZE)

    assert rejects(users) == [f"{users}/{problem}"]


@pytest.mark.usefixtures("builtin")
def test_what_kubernetes_puts_beside_mounted_files_is_left_alone(users: Path) -> None:
    """A ConfigMap arrives as links into a hidden folder."""
    write(users / "..2024_01_01/a.yaml", SIZE)
    (users / "..data").symlink_to("..2024_01_01", target_is_directory=True)
    (users / "postgres/a.yaml").symlink_to("../..data/a.yaml")

    assert [query.name for query in load_queries(["postgres"], [users])] == ["a"]


@pytest.mark.usefixtures("builtin")
def test_other_stores_files_are_not_read(users: Path) -> None:
    """What no target needs is not even parsed."""
    write(users / "neo4j/a.yaml", "queri: x\n")

    assert load_queries(["postgres"], [users]) == ()


def test_the_built_in_queries_are_right() -> None:
    """All of them, of every store, together."""
    loaded = load_queries(STORES)

    assert {query.store for query in loaded} == set(STORES)


def test_built_in_queries_lie_beside_the_package_or_in_it() -> None:
    assert {path.name for path in builtin_folder().iterdir()} >= set(STORES)
