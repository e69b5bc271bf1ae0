"""The names of sets are checks, and what a process polls of a configuration knows all of it."""

from pathlib import Path

import pytest

from exporter.config.sharding import Shard
from exporter.config.stores.backups import BackupsTarget
from exporter.config.stores.postgres import PostgresTarget
from exporter.errors import ConfigError
from exporter.settings import ConfigLoader, monitored_target, queries_for
from tests.support.factories import write

TEXT = """\
targets:
  - {name: orders, store: postgres, url: 'postgresql://u@h/db'}
  - {name: invoices, store: postgres, url: 'postgresql://u@h/db'}
  - {name: objects, store: minio, url: 'http://h:9000', access_key: reader, secret_key: s3cr3t}
  - name: vault
    store: backups
    url: s3://objects/backups
    required: false
    maintenance: true
    groups: [write]
    labels: {site: eu-1}
    thresholds: {response_seconds: {warn: 3, fail: 4}}
    checks: {dumps: off, responseTime: off}
    sets:
      - {name: dumps, of: orders, files: "*.dump", every: 1d}
      - {name: wal, of: orders, files: "wal/", format: wal, every: 5m}
"""


def loader(folder: Path, text: str = TEXT, shard: Shard | None = None) -> ConfigLoader:
    return ConfigLoader(write(folder / "datatier.yaml", text), shard)


def test_monitored_target_of_a_place_has_what_others_have(tmp_path: Path) -> None:
    """It is a target like others: required, grouped, labelled, limited, and its sets are checks."""
    config, queries = loader(tmp_path).load()
    seen = {target.name: monitored_target(config, target) for target in config.targets}
    vault = seen["vault"]

    assert (vault.required, vault.maintenance, vault.groups, vault.labels) == (
        False,
        True,
        ("write",),
        {"site": "eu-1"},
    )
    assert (vault.response.warn, sorted(vault.unjudged)) == (3, ["dumps", "responseTime"])
    assert {name: one.covered for name, one in seen.items()} == {
        "orders": True, "invoices": False, "objects": False, "vault": None
    }  # fmt: skip
    assert "sets" in {query.name for query in queries if query.store == "backups"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("name: wal", "name: diskSpace", "16: targets.3.sets.1.name: 'diskSpace' is the name of another check"),
        ("name: wal", "name: responseTime", "16: targets.3.sets.1.name: 'responseTime' is the name of another check"),
        ("name: wal", "name: queries", "16: targets.3.sets.1.name: 'queries' is the name of another check"),
        ("name: wal", "name: databases", "16: targets.3.sets.1.name: 'databases' is the name of another check"),
        ("name: wal", "name: mine", "16: targets.3.sets.1.name: 'mine' is the name of another check"),
        ("{dumps: off", "{dump: off", "13: targets.3.checks.dump: a target of backups has no such check; there are "),
        ("{dumps: off", "{replication: off", "13: targets.3.checks.replication: a target of backups has no such check"),
    ],
)
def test_a_name_that_is_another_checks_or_none_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """A check of a user's own query counts, too."""
    rows = "operation: sets\nlabels: [check, of]\nmetrics: {my_n: {type: gauge, help: Mine., value: bytes}}\n"
    write(tmp_path / "queries.d/backups/mine.yaml", f"{rows}health: {{check: mine, metric: my_n, warn_above: 1}}\n")

    with pytest.raises(ConfigError) as caught:
        loader(tmp_path, TEXT.replace(old, new) + "queries: [queries.d]\n").load()

    assert [found.split("datatier.yaml:")[1][: len(problem)] for found in caught.value.problems] == [problem]


def test_a_check_that_rows_name_can_be_off(tmp_path: Path) -> None:
    """Nobody knows their names before the query has run."""
    rows = "query: SELECT 1\nlabels: [job]\nmetrics: {my_n: {type: gauge, help: Mine., value: n}}\n"
    write(tmp_path / "queries.d/postgres/mine.yaml", f"{rows}health: {{check_column: job, status: status}}\n")
    text = TEXT.replace("invoices, ", "invoices, checks: {nightly: off}, ") + "queries: [queries.d]\n"
    config = loader(tmp_path, text).load().config

    assert config.targets[1].checks == {"nightly": "off"}


def test_a_shard_knows_what_other_shards_poll(tmp_path: Path) -> None:
    """A place has the keys of a server that another process polls, which its own log must hide."""
    [ours] = [index for index in range(3) if Shard(index, 3).holds("vault")]
    source = loader(tmp_path, shard=Shard(ours, 3))
    targets = {target.name: target for target in source.load().config.targets}
    vault = targets["vault"]

    assert isinstance(vault, BackupsTarget)
    assert "objects" not in targets
    assert vault.server is not None
    assert {"reader", "s3cr3t"} <= source.secrets()


def test_each_shard_knows_which_of_its_targets_have_backups(tmp_path: Path) -> None:
    """The place that has them may be another's."""
    loaded = [loader(tmp_path, shard=Shard(index, 2)).load().config for index in range(2)]
    covered = {target.name: config.covered(target) for config in loaded for target in config.targets}
    intervals = {
        target.name: target.wal_interval
        for config in loaded
        for target in config.targets
        if isinstance(target, PostgresTarget)
    }

    assert covered == {"orders": True, "invoices": False, "objects": False, "vault": None}
    assert intervals == {"orders": 360.0, "invoices": None}


def test_archiver_of_a_target_with_an_archive_is_judged_by_the_interval_of_the_set(tmp_path: Path) -> None:
    """An archive that stands for 6 minutes is behind where a file is to come every 5; a target's own limit wins."""
    limit = "thresholds: {unarchived_seconds: {warn: 60, fail: null}}"
    own = TEXT.replace("name: orders, store: postgres,", f"name: orders, store: postgres, {limit},")
    asked = {}
    for name, given in (("set", TEXT), ("own", own)):
        config, queries = loader(tmp_path, given).load()
        for target in config.targets:
            asked[name, target.name] = {query.name: query for query in queries_for(target, queries)}

    rules = {key: found["archiver_unarchived"].health for key, found in asked.items() if "archiver_unarchived" in found}
    assert {key: (rule.warn_above, rule.fail_above) for key, rule in rules.items() if rule} == {
        ("set", "orders"): (360, 720),
        ("set", "invoices"): (900, 3600),
        ("own", "orders"): (60, None),
        ("own", "invoices"): (900, 3600),
    }
    assert "archiver_expected" in asked["set", "orders"]
    assert "archiver_expected" not in asked["set", "invoices"]


@pytest.mark.parametrize(("snapshots", "refused"), [("", True), ("snapshots: {every: 1d}", False)])
def test_check_of_qdrant_may_have_any_name_only_where_its_snapshots_are_checks(
    snapshots: str, *, refused: bool, tmp_path: Path
) -> None:
    """Which collections there are is not known at the start; without a policy no row names a check."""
    text = "targets:\n  - name: search\n    store: qdrant\n    url: http://h:6333\n    checks: {'snapshot:docs': off}\n"
    problems: list[str] = []
    try:
        loader(tmp_path, f"{text}    {snapshots}\n").load()
    except ConfigError as error:
        problems = error.problems

    assert ["a target of qdrant has no such check" in problem for problem in problems] == [True] * refused
