"""Each mistake between keys, sets and targets is one of the start, under the key that a user would change."""

from pathlib import Path

import pytest

from exporter.config.backup_links import listed
from tests.support.backup_mistakes import problems, replaced

DATA = "graph, invoices, objects, orders, search"
NOT_OF_WAL = "the files of format wal are no backups, "
NOT_OF_REPORT = "the files of format report are no backups, "
POSTGRES = "auto or report or pg_dump or sql or basebackup or pgbackrest or wal-g or barman or wal"
OF_NAS = "there are dumps, graphs, tests"
JSON = "reports are JSON files: name one, or a glob of them, that ends with .json"
TIMED = "report, basebackup, pgbackrest, wal-g, barman"
OF_INVOICES = "base backups of 'invoices' are in none"
NO_BASE = "is none of base backups, as basebackup, pgbackrest, wal-g, barman are"
FOLDER = "the copy of a bucket is a whole folder: its name and a slash; of all in the place, **"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("name: dumps, of: orders", "name: dumps, of: orderz",
         f"12: dumps.of: no target is named 'orderz'; there are {DATA}"),
        ("name: dumps, of: orders", "name: dumps, of: pool",
         f"12: dumps.of: a target of pgbouncer holds no data of which there are backups; {DATA} do"),
        ("name: dumps, of: orders", "name: dumps, of: vault",
         f"12: dumps.of: a target of backups holds no data of which there are backups; {DATA} do"),
        ("name: graphs, of: graph", "name: dumps, of: graph",
         "13: graphs.name: two sets of this place have the name 'dumps'"),
        ('neo4j/*.dump"', 'neo4j/*.dump", format: pg_dump',
         "13: graphs.format: 'graph' is a target of neo4j, whose backups have the format auto or report or neo4j"),
        ("format: pg_dump", "format: neo4j",
         f"12: dumps.format: 'orders' is a target of postgres, whose backups have the format {POSTGRES}"),
        ("pg_dump, every: 1d", "pg_dump, every: 2d",
         "12: dumps.keep.daily: a backup every 2 d leaves some of them without one; every: 1 d or less"),
        ("size: {min: 1MiB}", "duration: 1h",
         f"12: dumps.duration: format pg_dump does not tell how long it took; {TIMED} do"),
        ("size: {min: 1MiB}", "base: base", "12: dumps.base: it belongs to format wal, not to pg_dump"),
        ("duration: 15m", "size: {max: 1MiB}", f"14: tests.size: {NOT_OF_REPORT}whose size could be judged"),
        ("duration: 15m", "encrypted: true",
         "14: tests.encrypted: format report does not tell whether they are encrypted"),
        ("duration: 15m", "keep: 7d", "14: tests.keep: of reports the newest one counts: nothing is kept"),
        ("duration: 15m", "keep: {weekly: 7}", "14: tests.keep: of reports the newest one counts: nothing is kept"),
        ("duration: 15m", "since: 2026-01-31",
         "14: tests.since: of reports the newest one counts: no period is expected to have one"),
        ("duration: 15m", "copy_of: nas/dumps",
         "14: tests.copy_of: of reports the newest one counts: there is nothing to compare"),
        ("tests.json", "tests/", f"14: tests.files: {JSON}"),
        ("tests.json", "*", f"14: tests.files: {JSON}"),
        ("backup/demo/", "backup/demo",
         "19: base.files: format pgbackrest reads one folder: its name, without wildcards, and a slash at its end"),
        ("backup/demo/", "backup/*/",
         "19: base.files: format pgbackrest reads one folder: its name, without wildcards, and a slash at its end"),
        ('backup/demo/", format: pgbackrest', 'backup/*", format: basebackup',
         "19: base.files: each base backup is a folder: choose them with a slash at the end, as base/*/ does"),
        ("archive/demo/", "archive/demo",
         "20: wal.files: an archive is a folder, with a slash at its end, or a glob of its files"),
        ("keep: 7d", "keep: {weekly: 4}", "20: wal.keep: an archive of WAL is kept for a duration: 7d"),
        ("keep: 7d", "size: {max: 1GiB}", f"20: wal.size: {NOT_OF_WAL}whose size could be judged"),
        ("keep: 7d", "encrypted: true", "20: wal.encrypted: format wal does not tell whether they are encrypted"),
        ("keep: 7d", "copy_of: nas/dumps",
         "20: wal.copy_of: format pg_dump of the original and wal of this set name files differently"),
        ("base: base}", "base: bose}",
         "20: wal.base: no set of this place is named 'bose'; base backups of 'orders' are in base"),
        ("base: base}", "base: nas/dumps}",
         "20: wal.base: no set of this place is named 'nas/dumps'; base backups of 'orders' are in base"),
        ("base: base}", "base: wal}",
         f"20: wal.base: format wal {NO_BASE}; base backups of 'orders' are in base"),
        ("name: wal, of: orders", "name: wal, of: invoices",
         f"20: wal.base: it has backups of 'orders', and this is the WAL of 'invoices'; {OF_INVOICES}"),
        ("copy_of: nas/dumps", "copy_of: dumps",
         "27: copies.copy_of: expected PLACE/SET, or TARGET/BUCKET of a target of minio"),
        ("copy_of: nas/dumps", "copy_of: nass/dumps",
         "27: copies.copy_of: no target is named 'nass'; sets and buckets have nas, objects, offsite, vault"),
        ("copy_of: nas/dumps", "copy_of: nas/dump", f"27: copies.copy_of: 'nas' has no set 'dump'; {OF_NAS}"),
        ("copy_of: nas/dumps", "copy_of: nas/", f"27: copies.copy_of: 'nas' has no set ''; {OF_NAS}"),
        ("copy_of: nas/dumps", "copy_of: orders/app",
         "27: copies.copy_of: a target of postgres has neither sets nor buckets"),
        ("copy_of: nas/dumps", "copy_of: offsite/copies",
         "27: copies.copy_of: it is a copy of itself: offsite/copies of offsite/copies"),
        ("copy_of: nas/dumps", "copy_of: nas/graphs",
         "27: copies.copy_of: the original has backups of 'graph', this set those of 'orders'"),
        ("copy_of: nas/dumps", "copy_of: nas/tests",
         "27: copies.copy_of: the original holds reports, of which the newest one counts: there is nothing to compare"),
        ("copy_of: nas/dumps", "copy_of: vault/base",
         "27: copies.copy_of: format pgbackrest of the original and auto of this set name files differently"),
        ("copy_of: nas/dumps", "copy_of: objects/dumps",
         f"27: copies.copy_of: a bucket of 'objects' is no backup of 'orders' | 27: copies.files: {FOLDER}"),
        ("copy_of: objects/documents", "copy_of: objects/documents/2026",
         "28: mirror.copy_of: after the slash comes the name of a bucket: 3 to 63 letters, digits, '.', '-' and '_'"),
        ('files: "documents/"', 'files: "documents/*"',
         f"28: mirror.files: {FOLDER}"),
        ("copy_of: objects/documents", "copy_of: objects/documents, keep: 7d",
         "28: mirror.keep: the copy of a bucket is one backup: it does not reach back"),
        ("copy_of: objects/documents", "copy_of: objects/documents, since: 2026-01-31",
         "28: mirror.since: the copy of a bucket is one backup: it does not reach back"),
    ],
)  # fmt: skip
def test_a_set_that_contradicts_itself_or_others_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert " | ".join(problems(tmp_path, replaced((old, new)))) == problem


def test_a_copy_of_an_archive_is_an_archive(tmp_path: Path) -> None:
    """Its segments are compared by their names; what else is wrong shows that this is not."""
    more = "- {name: more, of: orders, files: 'wal/', format: wal, copy_of: vault/wal, every: 5m, base: bose}"

    assert problems(tmp_path, replaced(("- {name: copies", f"{more}\n      - {{name: copies"))) == [
        "27: copies.base: no set of this place is named 'bose'; base backups of 'orders' are in none"
    ]


def test_a_circle_of_copies_is_named_at_each_of_its_sets(tmp_path: Path) -> None:
    """One that leads into a circle, and is no part of it, is no mistake of its own."""
    more = "- {name: more, of: orders, files: '*', copy_of: offsite/copies, every: 1d}"
    text = replaced(
        ("size: {min: 1MiB}", "copy_of: offsite/copies"),
        ("sets:\n      - {name: base", f"sets:\n      {more}\n      - {{name: base"),
    )

    assert problems(tmp_path, text) == [
        "12: dumps.copy_of: it is a copy of itself: nas/dumps of offsite/copies of nas/dumps",
        "28: copies.copy_of: it is a copy of itself: offsite/copies of nas/dumps of offsite/copies",
    ]


def test_all_mistakes_between_targets_come_at_once(tmp_path: Path) -> None:
    """Also those of a place's own keys, and the folders of queries that are missing."""
    text = replaced(
        ("of: graph, files", "of: grahp, files"), ("base: base}", "base: bose}"), ("s3://objects", "s3://graph")
    )
    found = problems(tmp_path, text + "queries: [none.d]\n")

    assert [problem.split(": ")[:2] for problem in found] == [
        ["13", "graphs.of"], ["17", "vault.url"], ["20", "wal.base"], ["29", "queries.0"]
    ]  # fmt: skip


NUMBERED = [f"n{number:02}" for number in range(22)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], "none"), (["b", "a"], "a, b"), (NUMBERED, f"{', '.join(NUMBERED[:20])} and 2 more")],
)
def test_listed_names_are_few(names: list[str], expected: str) -> None:
    assert listed(names) == expected
