"""Globs by the segments of a path."""

import time

import pytest

from exporter.datastores.backups.selection import Selection, folders


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        ("apex_*.dump", "apex_1.dump", True),
        ("apex_*.dump", "APEX_1.dump", False),
        ("apex_*.dump", "apex_/1.dump", False),
        ("apex_?.dump", "apex_1.dump", True),
        ("apex_?.dump", "apex_12.dump", False),
        ("apex_[0-4].dump", "apex_3.dump", True),
        ("apex_[!0-4].dump", "apex_3.dump", False),
        ("apex_[.dump", "apex_[.dump", True),
        ("a.dump", "a.dump", True),
        ("a.dump", "axdump", False),
        ("*/a.dump", "x/a.dump", True),
        ("*/a.dump", "x/y/a.dump", False),
        ("**/a.dump", "a.dump", True),
        ("**/a.dump", "x/y/a.dump", True),
        ("x/**", "x/y/z", True),
        ("x/**", "x", False),
        ("**/2026/*/**/a*", "b/2026/1/a", True),
        ("**/2026/*/**/a*", "2026/x/2026/1/2/3/ab", True),
        ("**/2026/*/**/a*", "2026/a", False),
        ("**/**/a", "x/a", True),
        ("a/**/a", "a", False),
        ("*", ".datatier", False),
        (".datatier", ".datatier", True),
        ("*", "two\nlines\udcff", True),
        ("apex/", "apex/toc.dat", True),
        ("apex/", "apex", False),
        ("apex/", "apexes/toc.dat", False),
        ("apex_*/", "apex_1/deep/.hidden", True),
        ("apex_*/", "other/apex_1/x", False),
    ],
)
def test_matches(files: str, name: str, *, expected: bool) -> None:
    assert Selection(files).matches(name) is expected


@pytest.mark.parametrize(
    ("files", "prefix", "deep"),
    [
        ("apex_*.dump", "apex_", False),
        ("neo4j/*.dump", "neo4j/", False),
        ("neo4j/graph.dump", "neo4j/graph.dump", False),
        ("neo4j/**/x", "neo4j/", True),
        ("*/x", "", True),
        ("documents/", "documents/", True),
        ("apex_*/", "apex_", True),
    ],
)
def test_what_is_listed(files: str, prefix: str, *, deep: bool) -> None:
    selection = Selection(files)

    assert (selection.prefix, selection.deep) == (prefix, deep)


@pytest.mark.parametrize(
    ("files", "folder"),
    [("*.dump", ""), ("daily/*.dump", "daily/"), ("a/b[0-9]/x", "a/"), ("a/b/", "a/b/"), ("a/b", "a/"), ("**/x", "")],
)
def test_folder_is_what_all_names_lie_in(files: str, folder: str) -> None:
    assert Selection(files).folder == folder


def test_folders_of_a_name() -> None:
    assert folders("a/b/c") == ("a/", "a/b/")
    assert folders("c") == ()


@pytest.mark.parametrize("files", ["*a*a*a*a*a*a*a*b", "**/a/**/a/**/a/**/b", "**/*a*a*/**/*a*a*/b"])
def test_matches_hostile_name_soon(files: str) -> None:
    """A name of 4 KiB that almost matches in many ways takes no longer than any other."""
    began = time.perf_counter()
    for name in ("a" * 4096, "a/" * 2048 + "c"):
        assert not Selection(files).matches(name)

    assert time.perf_counter() - began < 1
