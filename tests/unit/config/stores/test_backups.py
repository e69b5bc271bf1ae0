"""A place knows its server and its originals, keeps their secrets, and has no mistake in its keys."""

import re
from pathlib import Path
from typing import Any, cast

import pytest

from exporter.config.config import Config, load_config
from exporter.config.stores.backups import BackupsTarget, OriginalBucket, OriginalSet
from exporter.config.stores.postgres import PostgresTarget
from exporter.config.targets import TargetBase
from tests.support.backup_mistakes import TEXT, problems, replaced
from tests.support.factories import write
from tests.support.paths import DOCS

UNREAD = "nobody reads it: "
FOLDER = f"{UNREAD}a folder has no server"
TARGET = f"{UNREAD}'objects' has its own"
URL = "after s3:// comes the name of a target of minio: objects"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("file:///backups", "file://backups",
         "10: nas.url: a folder has three slashes, a path from the root and no host: file:///backups"),
        ("file:///backups", "backups",
         "10: nas.url: expected a URL that starts with file:// or s3:// or http:// or https://"),
        ("file:///backups", "FILE:///backups",
         "10: nas.url: expected a URL that starts with file:// or s3:// or http:// or https://"),
        ("s3://objects", "s3://object", f"17: vault.url: {URL}"),
        ("s3://objects", "s3://orders", f"17: vault.url: {URL}"),
        ("s3://objects", "s3://nas", f"17: vault.url: {URL}"),
        ("file:///backups", "file:///backups\n    access_key: a", f"11: nas.access_key: {FOLDER}"),
        ("file:///backups", "file:///backups\n    verify: true", f"11: nas.verify: {FOLDER}"),
        ("file:///backups", "file:///backups\n    region: eu-1", f"11: nas.region: {FOLDER}"),
        ("s3://objects/backups", "s3://objects/backups\n    secret_key: a", f"18: vault.secret_key: {TARGET}"),
        ("s3://objects/backups", "s3://objects/backups\n    region: eu-1", f"18: vault.region: {TARGET}"),
        ("s3://objects/backups", "s3://objects/backups\n    server_name: a", f"18: vault.server_name: {TARGET}"),
        ("    secret_key: dr-s3cr3t\n", "",
         "21: offsite: access_key alone is no login: access_key and secret_key belong together"),
        ("    access_key: dr-reader\n", "",
         "21: offsite: secret_key alone is no login: access_key and secret_key belong together"),
        ("dr-reader", "dr-reader\n    region: a b", "25: offsite.region: String should match pattern"),
        ("https://s3.example/apex-dr", "http://s3.example/apex-dr\n    verify: false",
         "21: offsite: verify: TLS needs a URL that starts with https://"),
        ("https://s3", "https://u:secret@s3", "23: offsite.url: the URL has a user, which nobody reads"),
        ("/apex-dr", "", "23: offsite.url: the URL has no bucket"),
        ("file:///backups", "file:///backups\n    timezone: Europe/Belrin",
         "11: nas.timezone: no such time zone on this machine; they are named like Europe/Berlin or UTC"),
        ("file:///backups", "file:///backups\n    timezone: ../../etc/x", "11: nas.timezone: no such time zone"),
        ("file:///backups", "file:///backups\n    timezone: Europe", "11: nas.timezone: no such time zone"),
        ("file:///backups", "file:///backups\n    timezone: ''", "11: nas.timezone: no such time zone"),
        ("file:///backups", "file:///backups\n    marker: ../mounted", "11: nas.marker: it lies below the place"),
        ("file:///backups", "file:///backups\n    folder: /backups", "11: nas.folder: unknown key"),
        ("file:///backups", "file:///backups\n    labels: {of: x}", "11: nas.labels: 'of' cannot be a label"),
        ("file:///backups", "file:///backups\n    labels: {tier: x}", "11: nas.labels: 'tier' cannot be a label"),
        ("file:///backups", "file:///backups\n    labels: {format: x}", "11: nas.labels: 'format' cannot be a label"),
    ],
)  # fmt: skip
def test_a_wrong_place_is_refused_with_line_and_key(tmp_path: Path, old: str, new: str, problem: str) -> None:
    found = problems(tmp_path, replaced((old, new)))

    assert len(found) == 1
    assert found[0].startswith(problem)
    assert "secret@" not in found[0]


def test_a_place_without_sets_is_refused(tmp_path: Path) -> None:
    text = "targets:\n  - {name: nas, store: backups, url: 'file:///backups', sets: []}\n"

    assert problems(tmp_path, text) == ["2: targets.0.sets: expected at least one set: what lies there"]


def test_a_place_has_a_hundred_sets_at_most(tmp_path: Path) -> None:
    """Each is a check."""
    sets = ", ".join(f"{{name: set{number}, of: nas, files: '*', every: 1d}}" for number in range(101))
    text = f"targets:\n  - {{name: nas, store: backups, url: 'file:///backups', sets: [{sets}]}}\n"

    assert problems(tmp_path, text)[0].startswith("2: targets.0.sets: expected 100 sets at most")


def test_a_place_with_one_wrong_set_has_one_mistake(tmp_path: Path) -> None:
    """Not also that of having none."""
    one = "{name: a, of: b, files: '*', every: 1}"
    text = f"targets:\n  - {{name: nas, store: backups, url: 'file:///backups', sets: [{one}]}}\n"
    [problem] = problems(tmp_path, text)

    assert problem.startswith("2: targets.0.sets.0.every: '1' is not a duration")


def load(folder: Path, text: str = TEXT) -> Config:
    return load_config(write(folder / "datatier.yaml", text), {})


def named(config: Config, name: str) -> TargetBase:
    [target] = [target for target in config.targets if target.name == name]
    return target


def place(config: Config, name: str) -> BackupsTarget:
    return cast("BackupsTarget", named(config, name))


def test_place_in_a_folder_has_no_server(tmp_path: Path) -> None:
    nas = place(load(tmp_path), "nas")

    assert (nas.folder, nas.bucket, nas.prefix, nas.server) == (Path("/backups"), "", "", None)


def test_place_in_a_targets_bucket_has_its_server(tmp_path: Path) -> None:
    """With its keys, its TLS and its region, and nothing written twice."""
    config = load(tmp_path, TEXT.replace("s3://objects/backups", "s3://objects/backups/apex"))
    vault = place(config, "vault")

    assert (vault.folder, vault.bucket, vault.prefix) == (None, "backups", "apex/")
    assert vault.server == named(config, "objects")


def test_place_in_any_bucket_makes_a_server_of_its_keys(tmp_path: Path) -> None:
    write(tmp_path / "secret", "first\n")
    text = replaced(
        ("secret_key: dr-s3cr3t", f"secret_key_file: {tmp_path}/secret\n    region: eu-central-1\n    verify: false")
    )
    offsite = place(load(tmp_path, text), "offsite")
    server = offsite.server

    assert server is not None
    assert (server.name, server.url.get_secret_value()) == ("offsite", "https://s3.example")
    assert (server.region, server.tls_files.verify, server.tls) == ("eu-central-1", False, True)
    assert (server.secret("access_key"), server.secret("secret_key")) == ("dr-reader", "first")

    write(tmp_path / "secret", "second\n")
    assert server.secret("secret_key") == "second"
    assert "second" in offsite.secrets()


def test_originals_are_sets_with_their_places_and_buckets_with_their_servers(tmp_path: Path) -> None:
    text = replaced(("copy_of: nas/dumps", "copy_of: vault/base, format: pgbackrest"), ('"*.dump", copy', '"a/", copy'))
    config = load(tmp_path, text)
    offsite, vault = place(config, "offsite"), place(config, "vault")

    assert offsite.originals == {
        "copies": OriginalSet(vault, vault.sets[0]),
        "mirror": OriginalBucket(cast("Any", named(config, "objects")), "documents"),
    }
    assert vault.originals == {}


def test_a_place_keeps_the_secrets_of_what_it_asks(tmp_path: Path) -> None:
    """Its server may be another process' target."""
    config = load(tmp_path)

    assert place(config, "vault").secrets() == {"reader", "s3cr3t"}
    assert place(config, "offsite").secrets() == {"dr-reader", "dr-s3cr3t", "reader", "s3cr3t"}


def test_no_secret_of_a_place_is_shown(tmp_path: Path) -> None:
    config = load(tmp_path)
    shown = f"{config!r} {config} {config.model_dump()} {place(config, 'offsite').links!r}"

    assert "s3cr3t" not in shown
    assert "reader" not in shown


def test_wal_interval_is_that_of_the_archive(tmp_path: Path) -> None:
    """Of several archives, as in two repositories, the strictest."""
    config = load(tmp_path)
    further = "- {name: more, of: orders, files: 'a/', format: wal, every: 2m}\n      - {name: copies"
    both = load(tmp_path, replaced(("- {name: copies", further)))
    asked = ((config, "orders"), (config, "invoices"), (both, "orders"))
    intervals = [cast("PostgresTarget", named(one, name)).wal_interval for one, name in asked]

    assert intervals == [360.0, None, 180.0]


def test_covered_is_every_target_whose_backups_somebody_watches(tmp_path: Path) -> None:
    """Qdrant's own list of snapshots counts; of a pooler and of a place there are none."""
    config = load(tmp_path)

    assert {target.name: config.covered(target) for target in config.targets} == {
        "orders": True, "invoices": False, "graph": True, "objects": True, "pool": None, "search": True,
        "nas": None, "vault": None, "offsite": None,
    }  # fmt: skip


def test_covered_without_a_place_is_no_question(tmp_path: Path) -> None:
    """Who watches no backups here does so elsewhere."""
    config = load(tmp_path, TEXT.partition("  - name: nas")[0])

    assert {config.covered(target) for target in config.targets} == {None}


def test_equal_files_make_equal_places(tmp_path: Path) -> None:
    """What was asked of one in between does not matter."""
    used, fresh = load(tmp_path), load(tmp_path)
    used.secrets()
    assert (place(used, "vault").zone, place(used, "vault").bucket) == (None, "backups")

    assert used == fresh


def test_zone_is_the_places_time_zone(tmp_path: Path) -> None:
    nas = place(load(tmp_path, replaced(("file:///backups", "file:///backups\n    timezone: Europe/Berlin"))), "nas")

    assert str(nas.zone) == "Europe/Berlin"


def test_the_example_of_the_documentation_is_a_configuration(tmp_path: Path) -> None:
    """With nothing but its files of secrets put elsewhere."""
    pages = re.findall(r"```yaml\n(targets:\n.*?)```", (DOCS / "reference/configuration.md").read_text(), re.DOTALL)
    [example] = [page for page in pages if "store: backups" in page]
    secrets = write(tmp_path / "secret", "s3cr3t")
    config = load(tmp_path, re.sub(r"/run/secrets/\w+", str(secrets), example))
    names = [name for target in config.targets for name in target.own_checks]

    assert names == [
        "apex-daily", "apex-globals", "graph-daily", "search-daily", "apex-weekly", "apex-monthly", "apex-base",
        "apex-wal", "restore-test", "failover-test", "integrity", "apex-copy", "documents-mirror",
    ]  # fmt: skip
    assert {config.covered(target) for target in config.targets} == {True, None}
    assert sorted(place(config, "offsite").originals) == ["apex-copy", "documents-mirror"]
