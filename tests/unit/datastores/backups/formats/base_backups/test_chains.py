"""Chains of incremental backups, and what their restores read."""

import time

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats.base_backups.chains import broken_chains, chained, with_ancestors


def test_broken_chains_finds_what_is_missing_or_bad_however_far_away() -> None:
    needs = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "gone"], "e": ["e"]}
    bad = {"a": Problem("checksum", "")}

    chains = broken_chains(needs, bad)

    assert chains == {
        "b": Problem("broken_chain", "it builds on a, which is rejected: checksum"),
        "c": Problem("broken_chain", "it builds on a, which is rejected: checksum"),
        "d": Problem("broken_chain", "it builds on gone, which is not there"),
        "e": Problem("broken_chain", "it builds on itself, as its tool tells it"),
    }


def test_with_ancestors_counts_each_once() -> None:
    needs = {"c": ["b"], "b": ["a"], "a": [], "d": ["b"], "e": ["gone"]}

    sizes = with_ancestors(needs, {"a": 1, "b": 10, "c": 100, "d": 1000, "e": 5})

    assert sizes == {"a": 1, "b": 11, "c": 111, "d": 1011, "e": 5}


def test_chained_follows_long_chains_in_little_time() -> None:
    """Each of 20,000 backups builds on the one before, as a catalogue can claim."""
    backups = [Backup(f"b{number}", 0, 1.0) for number in range(20_000)]
    needs = {f"b{number}": [f"b{number - 1}"] for number in range(20_000)}
    began = time.process_time()

    found = chained(backups, needs)

    assert {backup.problem and backup.problem.detail for backup in found} == {"it builds on b-1, which is not there"}
    assert time.process_time() - began < 2
