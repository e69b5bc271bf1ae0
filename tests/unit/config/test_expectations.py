"""Expectations are read as people write them in YAML, and what makes no sense is refused with what would."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config.config import load_config
from exporter.config.expectations import Expectations
from exporter.config.stores.postgres import PostgresTarget
from exporter.errors import ConfigError
from tests.support.factories import write
from tests.support.paths import DOCS

TARGET = """\
targets:
  - name: orders
    store: postgres
    url: postgresql://monitor@db1/postgres
    expect:
"""
Read = Callable[[str], Expectations]
Rejected = Callable[[str], list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that loads what stands under `expect:`."""

    def load(text: str) -> Expectations:
        lines = "".join(f"      {line}\n" for line in text.splitlines())
        [target] = load_config(write(tmp_path / "datatier.yaml", TARGET + lines), {}).targets
        assert isinstance(target, PostgresTarget)
        return target.expect

    return load


@pytest.fixture
def rejected(read: Read) -> Rejected:
    """Return a function that loads the same and returns its problems without the path."""

    def load(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text)
        return [problem.partition("datatier.yaml:")[2] for problem in caught.value.problems]

    return load


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """Every kind that is promised is taken."""
    page = (DOCS / "how-to/postgresql.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    [target] = load_config(write(tmp_path / "datatier.yaml", example), {}).targets
    assert isinstance(target, PostgresTarget)
    expected = target.expect

    assert expected.model_fields_set == Expectations.model_fields.keys()
    assert expected.settings["archive_mode"] == "on"
    assert expected.extensions == {"pg_stat_statements": ">=1.9", "app:vector": ">=0.5"}
    assert expected.partitioned_tables["app:events"].ahead == 30 * 86400
    assert expected.partitioned_tables["app:events"].retention == 400 * 86400


def test_values_that_yaml_has_parsed(read: Read) -> None:
    """Switches, numbers and lists are the text that the server's configuration file would hold."""
    expected = read(
        "settings: {archive_mode: on, jit: no, max_connections: 200, random_page_cost: 1.1, "
        "shared_preload_libraries: [pg_stat_statements, auto_explain]}"
    )

    assert expected.settings == {
        "archive_mode": "on",
        "jit": "off",
        "max_connections": "200",
        "random_page_cost": "1.1",
        "shared_preload_libraries": "pg_stat_statements, auto_explain",
    }


def test_expectations_are_empty_unless_configured(read: Read) -> None:
    assert read("tables: []") == Expectations()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("extensions: {vector: 0.10}", 'extensions.vector: write the version in quotes, as "0.1": without them'),
        ("extensions: {vector: newest}", "extensions.vector: 'newest' is not a version clause such as '>=15'"),
        ("settings: {work_mem: }", "settings.work_mem: None is not the value of a setting; write it in quotes"),
        ("replicas: 0", "replicas: expected greater than or equal to 1"),
        ("replicas: yes", "replicas: expected a valid integer"),
        ("role: standby", "role: expected 'primary' or 'replica'"),
        ("{role: replica, replicas: 1}", "replicas are expected of a primary, and role: replica is expected here"),
        ("tables: orders", "tables: expected a list"),
        ('tables: [""]', "tables.0: expected a text that is not empty"),
        ("table: [orders]", "table: unknown key"),
        ("partitioned_tables: {events: {ahead: 30}}", "partitioned_tables.events.ahead: '30' is not a duration"),
        ("partitioned_tables: {events: }", "partitioned_tables.events: expected keys and values"),
        ("schema_version: {table: t, column: c, value: 7}", "schema_version.value: expected a valid string"),
        ("schema_version: {table: t, column: c}", "schema_version.value: required, but not there"),
    ],
)  # fmt: skip
def test_senseless_expectation_is_rejected(rejected: Rejected, text: str, problem: str) -> None:
    [found] = rejected(text)

    assert found.startswith(("5: ", "6: "))
    assert problem in found
