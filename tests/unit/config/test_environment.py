"""Environment variables under the names that people already have."""

from pathlib import Path

import pytest

from exporter.config.config import load_config
from exporter.config.environment import target_settings
from exporter.errors import ConfigError
from tests.support.factories import write


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        ({}, None),
        ({"POSTGRES_URL": ""}, None),
        ({"POSTGRES_PASSWORD": "p"}, None),
        ({"POSTGRES_URL": "u"}, {"url": "u"}),
        ({"DATA_SOURCE_NAME": "u"}, {"url": "u"}),
        ({"POSTGRES_URL": "u", "DATA_SOURCE_NAME": "v"}, {"url": "u"}),
        ({"POSTGRES_URL": "u", "PGPASSWORD": "p"}, {"url": "u", "password": "p"}),
        ({"POSTGRES_URL": "u", "POSTGRES_PASSWORD": "p", "PGPASSWORD": "q"}, {"url": "u", "password": "p"}),
        ({"POSTGRES_URL": "u", "POSTGRES_PASSWORD_FILE": "f"}, {"url": "u", "password_file": "f"}),
        ({"DATA_SOURCE_URI": "h:5432/db"}, {"url": "postgresql://h:5432/db"}),
        ({"DATA_SOURCE_URI": "h/db?sslmode=disable", "DATA_SOURCE_USER": "a@b", "DATA_SOURCE_PASS": "p"},
         {"url": "postgresql://a%40b@h/db?sslmode=disable", "password": "p"}),
        ({"DATA_SOURCE_URI": "h/db", "DATA_SOURCE_PASS_FILE": "f"}, {"url": "postgresql://h/db", "password_file": "f"}),
        ({"DATA_SOURCE_USER": "me"}, None),
    ],
)  # fmt: skip
def test_postgres(environment: dict[str, str], settings: dict[str, str] | None) -> None:
    """Ours come first, then postgres_exporter's, then libpq's; without an address there is no target."""
    assert target_settings(environment) == (
        [] if settings is None else [{"name": "postgres", "store": "postgres", **settings}]
    )


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        ({"PGBOUNCER_URL": "u", "PGBOUNCER_PASSWORD_FILE": "f"},
         {"store": "pgbouncer", "url": "u", "password_file": "f"}),
        ({"QDRANT_URL": "u", "QDRANT_API_KEY_FILE": "f"}, {"store": "qdrant", "url": "u", "api_key_file": "f"}),
        ({"NEO4J_URI": "u", "NEO4J_USERNAME": "me", "NEO4J_PASSWORD": "p"},
         {"store": "neo4j", "url": "u", "user": "me", "password": "p"}),
        ({"MINIO_URL": "u", "MINIO_ROOT_USER": "a", "MINIO_ROOT_PASSWORD": "b"},
         {"store": "minio", "url": "u", "access_key": "a", "secret_key": "b"}),
        ({"MINIO_URL": "u", "MINIO_ACCESS_KEY": "a", "MINIO_ROOT_USER": "root"},
         {"store": "minio", "url": "u", "access_key": "a"}),
    ],
)  # fmt: skip
def test_the_other_stores(environment: dict[str, str], settings: dict[str, str]) -> None:
    """A key for monitoring goes before the administrator's."""
    assert target_settings(environment) == [{"name": settings["store"], **settings}]


def test_targets_stand_in_the_order_of_the_documentation() -> None:
    """A server, then its pooler: the pages, the log and the message without targets name them in this order."""
    urls = ["POSTGRES_URL", "PGBOUNCER_URL", "QDRANT_URL", "NEO4J_URL", "MINIO_URL"]

    assert [target["store"] for target in target_settings(dict.fromkeys(urls, "u"))] == [
        "postgres", "pgbouncer", "qdrant", "neo4j", "minio",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=", ".join(urls)):
        load_config(None, {})


def test_address_and_user_may_lie_in_files(tmp_path: Path) -> None:
    """As postgres_exporter's secrets are mounted; a variable goes before its file."""
    uri, user = write(tmp_path / "uri", "h:5432/db\n"), write(tmp_path / "user", "me\n")
    files = {"DATA_SOURCE_URI_FILE": str(uri), "DATA_SOURCE_USER_FILE": str(user)}

    [both] = target_settings(files)
    [named] = target_settings({**files, "DATA_SOURCE_USER": "you"})
    assert both["url"] == "postgresql://me@h:5432/db"
    assert named["url"] == "postgresql://you@h:5432/db"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"DATA_SOURCE_URI_FILE: .*nowhere cannot be read: .*No such file"):
        target_settings({"DATA_SOURCE_URI_FILE": str(tmp_path / "nowhere")})


def test_environment_alone_is_enough() -> None:
    """Without a file, every store whose URL is set becomes a target named after it."""
    config = load_config(
        None, {"POSTGRES_URL": "postgresql://u@h/db", "QDRANT_URL": "http://q:6333", "QDRANT_API_KEY": "k"}
    )

    assert [target.name for target in config.targets] == ["postgres", "qdrant"]
    assert config.targets[1].secret("api_key") == "k"


def test_empty_environment_is_rejected() -> None:
    """In an empty environment the message lists the variables."""
    with pytest.raises(ConfigError, match=r"^nothing to watch: name a file with --config, or set one of POSTGRES_URL"):
        load_config(None, {"PATH": "/bin"})


def test_a_wrong_environment() -> None:
    """There is no file to name, but a variable."""
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"POSTGRES_URL": "mysql://u@h/db", "NEO4J_URL": "http://x", "NEO4J_PASSWORD_FILE": "/none"})

    assert [problem.split(": ")[:2] for problem in caught.value.problems] == [
        ["environment", "POSTGRES_URL"], ["environment", "NEO4J_URL"], ["environment", "NEO4J_PASSWORD_FILE"]
    ]  # fmt: skip


def test_a_secret_of_the_environment_has_one_source(tmp_path: Path) -> None:
    environment = {"MINIO_URL": "http://m", "MINIO_SECRET_KEY": "x", "MINIO_SECRET_KEY_FILE": str(tmp_path / "x")}
    write(tmp_path / "x", "y")
    with pytest.raises(ConfigError, match=r"^environment: minio: secret_key and secret_key_file exclude each other$"):
        load_config(None, environment)


def test_store_without_variables_is_in_files_alone() -> None:
    """What lies in a place of backups takes more than a URL to say."""
    assert target_settings({"BACKUPS_URL": "file:///backups"}) == []
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"BACKUPS_URL": "file:///backups"})

    [problem] = caught.value.problems
    assert problem.endswith("set one of POSTGRES_URL, PGBOUNCER_URL, QDRANT_URL, NEO4J_URL, MINIO_URL")
