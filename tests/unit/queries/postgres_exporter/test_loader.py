"""postgres_exporter's queries.yaml: what its keys come to, and what is wrong with a file."""

from pathlib import Path

import pytest

from exporter.config.config import load_config
from exporter.errors import ConfigError
from exporter.queries.postgres_exporter.query import ImportedQuery
from exporter.settings import read_queries
from tests.support.factories import write
from tests.support.importing import SHOP, load, one, samples


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [problem.removeprefix(f"{folder}/queries.yaml") for problem in caught.value.problems]


def test_a_namespace_becomes_a_query(tmp_path: Path) -> None:
    query = one(tmp_path, SHOP)

    assert (query.name, query.store, query.scope, query.untrusted) == ("queries.yaml:shop", "postgres", "server", True)
    assert query.labels == ("kind",)
    assert [(metric.name, metric.type, metric.help) for metric in query.metrics] == [
        ("shop_sold", "unknown", "Sold so far"),
        ("shop_price", "gauge", "Column price of shop in queries.yaml."),
    ]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("cache_seconds: 30", (30.0, 5.0, None)),
        ("cache_seconds: 300", (300.0, 30.0, None)),
        ("runonserver: '>=13.0.0 <15.0.0'", (None, 5.0, ">=13.0.0,<15.0.0")),
        ("runonserver: '=14.2.0'", (None, 5.0, "==14.2.0")),
        ("runonserver: ''", (None, 5.0, None)),
        ("timeout: 3", (None, 5.0, None)),
    ],
)
def test_options_of_a_namespace(tmp_path: Path, keys: str, expected: tuple[object, ...]) -> None:
    """A key that postgres_exporter does not know either is passed over."""
    query = one(tmp_path, f"{SHOP}  {keys}\n")

    assert (query.interval, query.timeout, query.when.version) == expected


@pytest.mark.parametrize(
    ("sql", "label", "master", "expected"),
    [
        ("SELECT current_database() AS datname, 1 AS n", "datname", "false", ("database", "datname")),
        ("SELECT current_database() db, 1 AS n", "db", "false", ("database", "db")),
        ("SELECT current_database()::text AS db, 1 AS n", "db", "false", ("database", "db")),
        ("SELECT current_database(), 1 AS n FROM t", "current_database", "false", ("database", "current_database")),
        ("SELECT datname FROM x WHERE datname = current_database()", "datname", "false", ("database", "datname")),
        ("SELECT kind FROM x WHERE datname = current_database()", "kind", "false", ("database", None)),
        ("SELECT current_database() AS datname, 1 AS n", "datname", "true", ("server", None)),
        ("SELECT datname FROM pg_database", "datname", "false", ("server", None)),
    ],
)
def test_rows_that_say_their_database_are_asked_for_in_each(
    tmp_path: Path, sql: str, label: str, master: str, expected: tuple[str, str | None]
) -> None:
    text = f"x:\n  query: {sql!r}\n  master: {master}\n  metrics:\n    - {label}: {{usage: LABEL}}\n"
    query = one(tmp_path, text)

    assert (query.scope, query.database_label) == expected


def test_an_empty_query_asks_nothing(tmp_path: Path) -> None:
    """So people disable a namespace of postgres_exporter."""
    assert load(tmp_path, "a:\nb: {query: ''}\nc: {metrics: []}\n") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: [\n", [":2: "]),
        ("x:\n  query: a\n  query: b\n", [":3: query: the key is there twice"]),
        ("x:\n  metrics:\n    - a: {usage: SUMMARY}\n", [":3: x.metrics.0.a.usage: expected 'DISCARD'"]),
        ("x:\n  query: a\n  metrics:\n    - a: {}\n", [":4: x.metrics.0.a.usage: required, but not there"]),
        ("x:\n  query: a\n  metrics: {a: {usage: GAUGE}}\n", [":3: x.metrics: expected a list"]),
        ("x:\n  query: a\n  metrics:\n    - le: {usage: LABEL}\n", [":4: x.metrics.0.le: 'le' cannot be a label"]),
        ("x:\n  query: a\n  metrics:\n    - target: {usage: LABEL}\n", [":4: x.metrics.0.target: 'target' cannot be"]),
        ("x:\n  query: a\n  metrics:\n    - a-b: {usage: LABEL}\n", [":4: x.metrics.0.a-b: 'a-b' is not a label name"]),
        (
            "x-y:\n  query: a\n  metrics:\n    - a: {usage: GAUGE}\n",
            [":4: x-y.metrics.0.a: x-y_a is not a metric name"],
        ),
        (
            "datatier:\n  query: a\n  metrics:\n    - a: {usage: GAUGE}\n",
            [":4: datatier.metrics.0.a: the exporter makes"],
        ),
        ("x:\n  query: a\n  runonserver: '>=1 || <2'\n", [":3: x.runonserver: '>=1 || <2' is not understood"]),
        ("x:\n  query: a\n  cache_seconds: -1\n", [":3: x.cache_seconds: expected"]),
        (
            "x:\n  query: a\n  metrics:\n    - a: {usage: DURATION}\n    - a_milliseconds: {usage: GAUGE}\n",
            [":3: x.metrics: x.a and x.a_milliseconds both make x_a_milliseconds"],
        ),
        (
            "x:\n  query: a\n  metrics: [{y_z: {usage: GAUGE}}]\nx_y:\n  query: a\n  metrics: [{z: {usage: GAUGE}}]\n",
            [":6: x_y.metrics: x.y_z and x_y.z both make x_y_z"],
        ),
    ],
)
def test_invalid_queries_yaml_names_its_line(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = problems(tmp_path, text)

    assert [problem[: len(start)] for problem, start in zip(found, expected, strict=True)] == expected


def test_a_metric_of_the_file_replaces_the_built_in_query_that_declares_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "queries.yaml",
        "pg_database:\n  query: SELECT 1\n  metrics: [{datname: {usage: LABEL}}, {size_bytes: {usage: GAUGE}}]\n",
    )
    names = [query.name for query in read_queries(["postgres"], [path])]

    assert "queries.yaml:pg_database" in names
    assert "database_size" not in names
    assert read_queries(["qdrant"], [path]) == read_queries(["qdrant"])


def test_a_name_declared_in_two_files_is_an_error(tmp_path: Path) -> None:
    first = write(tmp_path / "a.yaml", SHOP)
    second = write(tmp_path / "b.yaml", SHOP)

    with pytest.raises(ConfigError, match=rf"{second}:4: shop.metrics: declared in {first} already"):
        read_queries(["postgres"], [first, second])


def test_a_column_that_is_not_listed_takes_no_other_querys_name(tmp_path: Path) -> None:
    """Two series of one name would cost Prometheus the whole page."""
    text = "pg:\n  query: SELECT 1\nshop:\n  query: SELECT 1\nshop_sold:\n  query: SELECT 1\n"
    loaded = read_queries(["postgres"], [write(tmp_path / "queries.yaml", text)])
    built_in, shop = (
        query for query in loaded if isinstance(query, ImportedQuery) and query.namespace in ("pg", "shop")
    )

    assert samples(built_in, {"postmaster_start_time_seconds": 1, "up": 1, "own": 2}) == {"pg_own": [2.0]}
    assert samples(shop, {"sold_books": 1, "price": 2}) == {"shop_price": [2.0]}


def test_a_folders_queries_are_untrusted_and_the_built_in_ones_are_not(tmp_path: Path) -> None:
    metrics = 'metrics:\n  shop_books: {type: gauge, help: "Books.", value: n}\n'
    write(tmp_path / "postgres/shop.yaml", f"query: SELECT 1 AS n\n{metrics}")
    loaded = read_queries(["postgres"], [tmp_path])

    assert [query.name for query in loaded if query.untrusted] == ["shop"]


def test_a_query_file_may_not_write_untrusted(tmp_path: Path) -> None:
    write(tmp_path / "postgres/shop.yaml", "query: SELECT 1\nuntrusted: false\nmetrics: {}\ntiming: true\n")

    with pytest.raises(ConfigError, match=r"shop\.yaml:2: untrusted: unknown key"):
        read_queries(["postgres"], [tmp_path])


def test_the_configuration_names_folders_and_files(tmp_path: Path) -> None:
    file, folder = write(tmp_path / "queries.yaml", SHOP), tmp_path / "queries.d"
    folder.mkdir()
    targets = "targets: [{name: db, store: postgres, url: 'postgresql://h/db'}]\n"
    config = load_config(write(tmp_path / "datatier.yaml", f"{targets}queries: [queries.d, queries.yaml]\n"), {})

    assert config.queries == (folder, file)
    with pytest.raises(ConfigError, match=r"datatier\.yaml:2: queries\.0: .*none\.yaml is neither a folder nor a file"):
        load_config(write(tmp_path / "datatier.yaml", f"{targets}queries: [none.yaml]\n"), {})
