"""What a reload changes, and what it leaves alone."""

from typing import Any

import pytest

from exporter.config.config import Config
from exporter.queries.query import Query
from exporter.reload import ConfigDiff, diff, reuse_unchanged
from exporter.settings import RuntimeConfig
from tests.support.factories import query

URL = "postgresql://monitor@db1/postgres"
NOTHING = ConfigDiff((), (), (), (), ())


def settings(*targets: dict[str, Any], queries: tuple[Query, ...] = (), **changes: Any) -> RuntimeConfig:
    described = [{"store": "postgres", "url": URL, **target} for target in targets]
    return RuntimeConfig(Config.model_validate({"targets": described, **changes}), queries)


def between(old: RuntimeConfig, new: RuntimeConfig) -> ConfigDiff:
    return diff(old, reuse_unchanged(old, new))


def of_orders(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return the one change between two versions of one target, beside one that stays."""
    other = {"name": "invoices"}
    changes = between(settings({"name": "orders", **old}, other), settings({"name": "orders", **new}, other))
    [kind] = [kind for kind, names in changes._asdict().items() if names] or ["nothing"]

    assert getattr(changes, kind, ("orders",)) == ("orders",)
    return kind


def test_the_same_files_change_nothing() -> None:
    """Read anew, they are other objects that say the same."""
    old, new = (settings({"name": "orders", "password": "p"}, queries=(query(labels=("datname",)),)) for _ in "12")

    assert reuse_unchanged(old, new).queries[0] is old.queries[0]
    assert between(old, new) == NOTHING


def test_targets_come_and_go() -> None:
    old, new = settings({"name": "a"}, {"name": "b"}), settings({"name": "b"}, {"name": "c"})

    assert between(old, new) == NOTHING._replace(added=("c",), removed=("a",))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ({}, {"maintenance": True}, "changed"),
        ({}, {"required": False}, "changed"),
        ({"groups": ["write"]}, {"groups": ["write", "read"]}, "changed"),
        ({}, {"checks": {"diskSpace": "off"}}, "changed"),
        ({}, {"disable_queries": ["disk"]}, "restarted"),
        ({}, {"thresholds": {"disk_used_ratio": {"warn": 0.1, "fail": 0.2}}}, "restarted"),
        ({}, {"interval": "30s"}, "restarted"),
        ({}, {"interval": "15s"}, "nothing"),
        ({"password": "a"}, {"password": "b"}, "restarted"),
        ({}, {"databases": {"exclude": ["log"]}}, "restarted"),
        ({"maintenance": True}, {"sample_activity": True}, "restarted"),
        ({}, {"url": "postgresql://monitor@db2/postgres"}, "replaced"),
        ({}, {"labels": {"cluster": "eu-1"}}, "replaced"),
        ({}, {"store": "qdrant", "url": "http://db1:6333"}, "replaced"),
    ],
)
def test_each_key_has_its_effect(old: dict[str, Any], new: dict[str, Any], kind: str) -> None:
    """What only views read restarts no poller; another server, or other series, begin anew."""
    assert of_orders(old, new) == kind


def test_the_general_interval_is_that_of_targets_without_their_own() -> None:
    targets = ({"name": "a"}, {"name": "b", "interval": "5s"})

    changes = between(settings(*targets), settings(*targets, poll={"interval": "30s"}))

    assert changes == NOTHING._replace(restarted=("a",))


def test_a_limit_of_the_ping_is_the_views_own() -> None:
    """No query knows it."""
    limit = {"response_seconds": {"warn": 0.1, "fail": 1}}

    assert between(settings({"name": "a"}), settings({"name": "a"}, thresholds=limit)) == NOTHING._replace(
        changed=("a",)
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((), (query(targets=("a",)),)),
        ((query(targets=("a",)),), ()),
        ((query(targets=("a",)),), (query(targets=("a",), timeout="1s"),)),
        ((query(targets=("a",)),), (query(targets=("none",)),)),
    ],
    ids=["new", "gone", "different", "no longer its"],
)
def test_changed_query_restarts_the_targets_that_run_it(old: tuple[Query, ...], new: tuple[Query, ...]) -> None:
    """Before the reload or after it; all others go on."""
    same = query("same")
    targets = ({"name": "a"}, {"name": "b"}, {"name": "q", "store": "qdrant", "url": "http://db1:6333"})
    before, after = settings(*targets, queries=(same, *old)), settings(*targets, queries=(*new, same))

    assert between(before, after) == NOTHING._replace(restarted=("a",))


OBJECTS = {"name": "objects", "store": "minio", "url": "http://h:9000", "access_key": "a", "secret_key": "b"}
SET = {"name": "dumps", "of": "orders", "files": "*.dump", "every": "1d"}
VAULT = {"name": "vault", "store": "backups", "url": "s3://objects/backups", "sets": [SET]}
COPY = {**SET, "name": "copies", "copy_of": "vault/dumps"}
OFFSITE = {"name": "offsite", "store": "backups", "url": "file:///offsite", "sets": [COPY]}


def linked(*targets: dict[str, Any]) -> RuntimeConfig:
    return RuntimeConfig(settings({"name": "orders"}, *targets).config.linked(), ())


@pytest.mark.parametrize(
    ("objects", "vault", "changes"),
    [
        ({}, {}, {}),
        ({"secret_key": "c"}, {}, {"restarted": ("objects", "vault", "offsite")}),
        ({"url": "http://other:9000"}, {}, {"restarted": ("offsite",), "replaced": ("objects", "vault")}),
        ({"maintenance": True}, {}, {"changed": ("objects",)}),
        ({"interval": "1m"}, {}, {"restarted": ("objects",)}),
        ({}, {"url": "s3://objects/others"}, {"restarted": ("offsite",), "replaced": ("vault",)}),
        ({}, {"sets": [{**SET, "every": "2d"}]}, {"restarted": ("vault", "offsite")}),
        ({}, {"sets": [{**SET, "keep": "7d"}]}, {"restarted": ("vault", "offsite")}),
        ({}, {"sets": [{**SET, "format": "wal"}]}, {"restarted": ("orders", "vault", "offsite")}),
        ({}, {"sets": [{**SET, "of": "objects"}]},
         {"changed": ("objects",), "restarted": ("vault", "offsite")}),
        ({}, {"groups": ["write"]}, {"changed": ("vault",)}),
    ],
)  # fmt: skip
def test_a_change_of_what_a_place_asks_changes_the_place(
    objects: dict[str, Any], vault: dict[str, Any], changes: dict[str, tuple[str, ...]]
) -> None:
    """Its server's keys are its own; another address is another place."""
    old = linked(OBJECTS, VAULT, OFFSITE)
    new = linked({**OBJECTS, **objects}, {**VAULT, **vault}, OFFSITE)

    assert between(old, new) == NOTHING._replace(**changes)


def test_the_first_place_asks_of_each_target_whether_it_has_backups() -> None:
    """That is a matter of views, and no poller notices."""
    changes = between(linked(OBJECTS), linked(OBJECTS, VAULT))

    assert changes == NOTHING._replace(added=("vault",), changed=("orders", "objects"))
