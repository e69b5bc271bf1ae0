"""What counts stand for, by name: a pure view of the snapshot, for people, where a label would be one too many."""

from collections import defaultdict

from exporter.events import Now
from exporter.snapshot import Snapshot


def findings(snapshot: Snapshot, target: str, now: Now) -> dict[str, list[str]]:
    """Return a target's findings by query; those of a database carry its name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for result in snapshot.current(target, now.monotonic):
        found[result.query.name].extend(result.in_database(name) for name in result.findings)
    return {query: found[query] for query in sorted(found) if found[query]}
