"""Chains of incremental backups, and what their restores read."""

from exporter.datastores.backup_sets.backup import Problem
from exporter.datastores.backups.formats.base_backups.chains import of_chain, with_ancestors


def test_of_chain_finds_what_is_missing_or_bad_however_far_away() -> None:
    needs = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "gone"], "e": ["e"]}
    bad = {"a": Problem("checksum", "")}

    chains = {name: of_chain(name, needs, bad) for name in needs}

    assert chains == {
        "a": None,
        "b": Problem("broken_chain", "it builds on a, which is rejected: checksum"),
        "c": Problem("broken_chain", "it builds on a, which is rejected: checksum"),
        "d": Problem("broken_chain", "it builds on gone, which is not there"),
        "e": None,
    }


def test_with_ancestors_counts_each_once() -> None:
    needs = {"a": ["c"], "b": ["a"], "c": ["b", "a", "gone"]}

    assert with_ancestors("c", needs, {"a": 1, "b": 10, "c": 100}) == 111
