"""Incremental backups: what each builds on, and what its restore reads."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.findings import shown


def chained(backups: Iterable[Backup], needs: Mapping[str, Iterable[str]]) -> list[Backup]:
    """Return backups with the sizes of all that their restores read; one whose chain is not sound is rejected.

    needs: by name of a backup, what it builds on directly, whether that is there or not.
    """
    found = list(backups)
    sizes = {backup.name: backup.bytes for backup in found}
    problems = {backup.name: backup.problem for backup in found if backup.problem}
    return [
        replace(
            backup,
            bytes=with_ancestors(backup.name, needs, sizes),
            problem=backup.problem or of_chain(backup.name, needs, problems),
        )
        for backup in found
    ]


def of_chain(name: str, needs: Mapping[str, Iterable[str]], problems: Mapping[str, Problem]) -> Problem | None:
    """Return what is wrong with the backups that a backup builds on, directly or not; they may form a circle.

    needs: what each backup that there is builds on. problems: what is wrong with each by itself.
    """
    seen, waiting = {name}, [*needs[name]]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if one not in needs:
            return Problem("broken_chain", f"it builds on {shown(one)}, which is not there")
        if one in problems:
            return Problem("broken_chain", f"it builds on {shown(one)}, which is rejected: {problems[one].reason}")
        waiting += needs[one]
    return None


def with_ancestors(name: str, needs: Mapping[str, Iterable[str]], sizes: Mapping[str, float]) -> float:
    """Return what a restore of a backup reads: its own size, and those of all that it builds on."""
    seen, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        if one in needs and one not in seen:
            seen.add(one)
            waiting += needs[one]
    return sum(sizes[one] for one in seen)
