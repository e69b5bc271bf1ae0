"""What counts stand for, by name: a pure view of the snapshot, for people, where a label would be one too many."""

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.events import Now, Result
    from exporter.snapshot import Snapshot


def findings(snapshot: "Snapshot", target: str, now: "Now") -> dict[str, list[str]]:
    """Return a target's findings by query; those of a database carry its name, as in app:public.orders."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for result in snapshot.current(target, now.monotonic):
        found[result.query.name].extend(in_database(result, name) for name in result.findings)
    return {query: found[query] for query in sorted(found) if found[query]}


def in_database(result: "Result", name: str) -> str:
    """Put the database in front of a finding where the query was asked in several."""
    return f"{result.database}:{name}" if result.database else name
