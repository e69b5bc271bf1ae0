"""Incremental backups: what each builds on, and what its restore reads."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.findings import shown


def chained(backups: Iterable[Backup], needs: Mapping[str, Iterable[str]]) -> list[Backup]:
    """Return backups with the sizes of all that their restores read; one whose chain is not sound is rejected.

    needs: by name of a backup, what it builds on directly, one at most, whether that is there or not.
    """
    found = list(backups)
    totals = with_ancestors(needs, {backup.name: backup.bytes for backup in found})
    broken = broken_chains(needs, {backup.name: backup.problem for backup in found if backup.problem})
    return [
        replace(
            backup,
            bytes=totals[backup.name],
            problem=backup.problem or broken.get(backup.name),
        )
        for backup in found
    ]


def broken_chains(needs: Mapping[str, Iterable[str]], problems: Mapping[str, Problem]) -> dict[str, Problem]:
    """Return what is wrong with what backups build on, directly or not, by their names; they may form a circle.

    needs: what each backup that there is builds on. problems: what is wrong with each by itself. However long chains
    are, each link is followed once.
    """
    above: defaultdict[str, list[str]] = defaultdict(list)
    for name, ones in needs.items():
        for one in ones:
            above[one].append(name)
    causes = {one: f"it builds on {shown(one)}, which is not there" for one in above if one not in needs}
    causes |= {one: f"it builds on {shown(one)}, which is rejected: {why.reason}" for one, why in problems.items()}
    broken: dict[str, Problem] = {}
    for cause, detail in causes.items():
        waiting = [cause]
        while waiting:
            new = [name for name in above.get(waiting.pop(), ()) if name not in broken and name != cause]
            broken |= dict.fromkeys(new, Problem("broken_chain", detail))
            waiting += new
    circle = Problem("broken_chain", "it builds on itself, as its tool tells it")
    return broken | {name: circle for name in _in_circles(needs, above) if name not in broken}


def _in_circles(needs: Mapping[str, Iterable[str]], above: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Return those that build on what is not there, or on themselves."""
    left = {name: len(list(ones)) for name, ones in needs.items()}
    sound = [name for name, count in left.items() if not count]
    while sound:
        for name in above.get(sound.pop(), ()):
            left[name] -= 1
            if not left[name]:
                sound.append(name)
    return (name for name, count in left.items() if count)


def with_ancestors(needs: Mapping[str, Iterable[str]], sizes: Mapping[str, float]) -> dict[str, float]:
    """Return what restores read: a backup's own size, and those of all that it builds on, each on one at most."""
    totals: dict[str, float] = {}
    for name in needs:
        way: dict[str, None] = {}
        one = name
        while one in needs and one not in totals and one not in way:
            way[one] = None
            one = next(iter(needs[one]), "")
        total = totals.get(one, 0.0)
        for own in reversed(way):
            total += sizes[own]
            totals[own] = total
    return totals
