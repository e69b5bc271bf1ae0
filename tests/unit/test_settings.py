"""Configuration and queries, read together, again and again."""

from pathlib import Path

import pytest
import structlog

from exporter.config.sharding import Shard
from exporter.errors import ConfigError
from exporter.logs import configure_logs
from exporter.settings import ConfigLoader, monitored_target, queries_for
from tests.support.factories import restored_logs, write

TARGET = "  - {{name: {name}, store: postgres, url: 'postgresql://u@h/db', password: {password}}}\n"


def configure(tmp_path: Path, *names: str, password: str = "first-secret") -> Path:
    targets = "".join(TARGET.format(name=name, password=password) for name in names)
    return write(tmp_path / "datatier.yaml", f"targets:\n{targets}")


def names(source: ConfigLoader) -> list[str]:
    return [target.name for target in source.load().config.targets]


def test_a_shard_is_part_of_what_the_file_names(tmp_path: Path) -> None:
    """Each time it is read; and the queries are there, whichever targets are ours."""
    everything = [f"db-{number}" for number in range(20)]
    path = configure(tmp_path, *everything)
    sources = [ConfigLoader(path, Shard(index, 2)) for index in range(2)]
    shares = [names(source) for source in sources]
    assert sorted(shares[0] + shares[1]) == sorted(everything)
    assert all(shares)

    configure(tmp_path, *everything[:10])
    assert [names(source) for source in sources] == [[n for n in share if n in everything[:10]] for share in shares]


def test_a_shard_may_have_no_target(tmp_path: Path) -> None:
    path = configure(tmp_path, "orders")
    [empty] = [index for index in range(2) if not Shard(index, 2).holds("orders")]
    settings = ConfigLoader(path, Shard(empty, 2)).load()

    assert settings.config.targets == ()
    assert "database_size" in {query.name for query in settings.queries}


def test_mistake_in_a_target_of_another_shard_is_rejected(tmp_path: Path) -> None:
    """All shards refuse the same file."""
    path = write(configure(tmp_path, "orders", "invoices"), "targets: [{name: orders}]")

    for index in range(2):
        with pytest.raises(ConfigError, match="required"):
            ConfigLoader(path, Shard(index, 2)).load()


def test_old_and_new_secrets_are_known(tmp_path: Path) -> None:
    """While targets end, they may say a last word about a server that refused the old one."""
    source = ConfigLoader(configure(tmp_path, "orders"))
    source.load()
    assert source.secrets() == {"first-secret"}

    configure(tmp_path, "orders", password="second-secret")
    source.load()
    assert source.secrets() == {"first-secret", "second-secret"}

    for _ in range(2):
        source.load()
    assert source.secrets() == {"second-secret"}


def test_the_log_hides_what_was_read_last(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A reload changes what a line must not say."""
    source = ConfigLoader(configure(tmp_path, "orders"))
    source.load()
    with restored_logs():
        configure_logs("logfmt", "info", source.secrets)
        configure(tmp_path, "orders", password="second-secret")
        source.load()
        structlog.get_logger("exporter").info("said", words="first-secret or second-secret")

    assert 'words="*** or ***"' in capfd.readouterr().err


def test_a_folder_that_cannot_be_read_is_a_problem_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported in one line, and neither a start nor a running service gets a traceback."""
    path = configure(tmp_path, "orders")
    (tmp_path / "queries.d").mkdir()
    path.write_text(path.read_text() + "queries: [queries.d]\n")

    def denied(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", denied)  # nothing is denied to root
    with pytest.raises(ConfigError, match=r"queries\.d: cannot be read: Permission denied"):
        ConfigLoader(path).load()


MINE = "query: SELECT 1 AS n\nmetrics: {my_n: {type: gauge, help: Mine., value: n}}"
OWN = """
targets:
  - {name: orders, store: postgres, url: 'postgresql://u@h/db'}
  - name: delayed
    store: postgres
    url: 'postgresql://u@h/db'
    thresholds: {replication_lag_seconds: {warn: 7, fail: null}, response_seconds: {warn: 3, fail: 4}}
    checks: {replicas: off, "privileges": "off"}
    disable_queries: [table_bloat, "stat_*"]
thresholds: {replication_lag_seconds: {warn: 5, fail: 6}, disk_used_ratio: {warn: 0.5, fail: 0.6}}
disable_queries: [index_bloat]
"""


def test_target_has_its_own_limits_checks_and_queries(tmp_path: Path) -> None:
    """What it does not say is as for all others."""
    config, queries = ConfigLoader(write(tmp_path / "datatier.yaml", OWN)).load()
    asked = {target.name: {query.name: query for query in queries_for(target, queries)} for target in config.targets}
    rules = {name: found["replication"].health for name, found in asked.items()}

    assert {name: (rule.warn_above, rule.fail_above) for name, rule in rules.items() if rule} == {
        "orders": (5, 6),
        "delayed": (7, None),
    }
    assert asked["delayed"]["connections"].health == asked["orders"]["connections"].health
    assert {name for name in asked["orders"].keys() - asked["delayed"].keys() if not name.startswith("stat_")} == {
        "table_bloat"
    }
    assert "index_bloat" not in asked["orders"]
    seen = {target.name: monitored_target(config, target) for target in config.targets}
    assert {name: sorted(one.unjudged) for name, one in seen.items()} == {
        "orders": [],
        "delayed": ["privileges", "replicas"],
    }
    assert (seen["orders"].response.warn, seen["delayed"].response.warn) == (0.5, 3)


def test_users_own_queries_are_not_disabled(tmp_path: Path) -> None:
    """`"*"` leaves them alone."""
    write(tmp_path / "queries.d" / "postgres" / "mine.yaml", MINE)
    path = write(tmp_path / "datatier.yaml", OWN.replace("[index_bloat]", '["*"]\nqueries: [queries.d]'))

    assert [query.name for query in ConfigLoader(path).load().queries] == ["mine"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[index_bloat]", "[index_blaot]", "11: disable_queries.0: 'index_blaot' names no built-in query; there are "),
        (
            '"stat_*"',
            "collections",
            "9: targets.1.disable_queries.1: 'collections' names no built-in query; there are",
        ),
        ("replicas: off", "replica: off", "8: targets.1.checks.replica: a target of postgres has no such check; there"),
        ("replicas: off", "replicas: on", "8: targets.1.checks.replicas: expected 'off'"),
        (
            "{replication_lag_seconds: {warn: 7",
            "{lag: {warn: 7",
            "7: targets.1.thresholds: 'lag' is not a threshold; there",
        ),
    ],
)
def test_names_that_there_are_not(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """What silences nothing was meant to silence something."""
    path = write(tmp_path / "datatier.yaml", OWN.replace(old, new))

    with pytest.raises(ConfigError) as error:
        ConfigLoader(path).load()
    assert f"{path}:{problem}" in str(error.value)
