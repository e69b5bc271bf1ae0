"""The built-in queries and the users': what replaces what, and what is never silently left out."""

from pathlib import Path

import pytest

from exporter.config.stores import STORES
from exporter.errors import ConfigError
from exporter.queries import loader
from exporter.queries.loader import builtin_folder
from exporter.settings import read_queries
from tests.support.factories import write

SIZE = """\
query: |
  SELECT datname, bytes FROM sizes
labels: [datname]
metrics:
  pg_size_bytes: {type: gauge, help: "Size.", value: bytes}
"""


@pytest.fixture
def builtin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an empty folder in place of the built-in queries."""
    folder = tmp_path / "builtin"
    (folder / "postgres").mkdir(parents=True)
    monkeypatch.setattr(loader, "builtin_folder", lambda: folder)
    return folder


@pytest.fixture
def users(tmp_path: Path) -> Path:
    folder = tmp_path / "queries.d"
    (folder / "postgres").mkdir(parents=True)
    return folder


def rejects(*folders: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_queries(["postgres"], folders)
    return caught.value.problems


def test_a_users_file_replaces_the_built_in_of_its_name(builtin: Path, users: Path) -> None:
    """Even when it declares other metrics."""
    write(builtin / "postgres/sizes.yaml", SIZE)
    write(users / "postgres/sizes.yaml", SIZE.replace("pg_size_bytes", "pg_mine_bytes"))
    [query] = read_queries(["postgres"], [users])

    assert query.metrics[0].name == "pg_mine_bytes"


def test_a_users_file_replaces_the_built_in_with_its_metric(builtin: Path, users: Path) -> None:
    """One name is declared once, and the user's word counts."""
    write(builtin / "postgres/sizes.yaml", SIZE)
    write(builtin / "postgres/others.yaml", SIZE.replace("pg_size", "pg_other"))
    write(users / "postgres/mine.yaml", SIZE)

    assert [query.name for query in read_queries(["postgres"], [users])] == ["others", "mine"]


def test_a_core_metric_may_be_fed_beside_the_built_in(builtin: Path, users: Path) -> None:
    """Several files may make samples of it; only the very same labels are a conflict."""
    fed = "query: SELECT 1\nmetrics:\n  datatier_saturation_ratio: {labels: {resource: NAME}, value: used}\n"
    write(builtin / "postgres/disk.yaml", fed.replace("NAME", "disk"))
    path = write(users / "postgres/queue.yaml", fed.replace("NAME", "queue"))
    assert [query.name for query in read_queries(["postgres"], [users])] == ["disk", "queue"]

    write(path, fed.replace("NAME", "disk"))
    other = builtin / "postgres/disk.yaml"
    assert rejects(users) == [f"{path}:3: metrics.datatier_saturation_ratio: declared in {other} already"]


def test_rows_with_labels_may_feed_a_core_metric_from_two_files(builtin: Path, users: Path) -> None:
    """Dumps and archives are two queries, and both are backups."""
    fed = "query: SELECT 1\nlabels: [check, of]\nmetrics:\n  datatier_backups: {value: backups}\n"
    write(builtin / "postgres/dumps.yaml", fed)
    write(users / "postgres/archives.yaml", fed)

    assert len(read_queries(["postgres"], [users])) == 2


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

    assert len(read_queries(["postgres"], [users, users])) == 1


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
        (
            "postgresql/a.yaml",
            "postgresql: no store has this name; there are backups, minio, neo4j, pgbouncer, postgres, qdrant",
        ),
        (
            "a.yaml",
            "a.yaml: a query file lies in the folder of its store: backups, minio, neo4j, pgbouncer, postgres, qdrant",
        ),
        ("postgres/a.yml", "postgres/a.yml: a query file's name ends in .yaml"),
    ],
)
def test_a_file_that_would_never_be_read(users: Path, place: str, problem: str) -> None:
    """Silence would leave its author waiting for a metric."""
    write(users / place, SIZE)

    assert rejects(users) == [f"{users}/{problem}"]


@pytest.mark.usefixtures("builtin")
def test_hidden_folders_of_kubernetes_are_ignored(users: Path) -> None:
    """A ConfigMap arrives as links into a hidden folder."""
    write(users / "..2024_01_01/a.yaml", SIZE)
    (users / "..data").symlink_to("..2024_01_01", target_is_directory=True)
    (users / "postgres/a.yaml").symlink_to("../..data/a.yaml")

    assert [query.name for query in read_queries(["postgres"], [users])] == ["a"]


@pytest.mark.usefixtures("builtin")
def test_other_stores_files_are_not_read(users: Path) -> None:
    """What no target needs is not even parsed."""
    write(users / "neo4j/a.yaml", "queri: x\n")

    assert read_queries(["postgres"], [users]) == ()


def test_the_built_in_queries_are_right() -> None:
    """All of them, of every store, together."""
    loaded = read_queries(STORES)

    assert {query.store for query in loaded} == set(STORES)


def test_built_in_queries_lie_beside_the_package_or_in_it() -> None:
    assert {path.name for path in builtin_folder().iterdir()} >= set(STORES)
