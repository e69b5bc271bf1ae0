"""What a reload has to do: a pure comparison of what was configured with what is now."""

from typing import NamedTuple

from exporter.query import Query
from exporter.settings import Settings, queries_of, watched
from exporter.targets import Target

_VIEWED = {"required", "groups", "maintenance", "checks"}  # keys of a target that no poller reads
_IDENTITY = {"store", "url", "labels"}  # keys whose change makes another target of the same name


class Changes(NamedTuple):
    """Name the targets that change, each once; all others are to notice nothing.

    changed: only for those who look at it. restarted: polled otherwise. replaced: another server, or other series.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    restarted: tuple[str, ...]
    replaced: tuple[str, ...]


def reuse(old: Settings, new: Settings) -> Settings:
    """Return the new settings with the old query wherever it says the same: what did not change is the same object."""
    known = {(query.store, query.name): query for query in old.queries}

    def same(query: Query) -> Query:
        before = known.get((query.store, query.name))
        return before if before is not None and before == query else query

    return Settings(new.config, tuple(map(same, new.queries)))


def compare(old: Settings, new: Settings) -> Changes:
    """Compare settings of which the new reuse the old queries."""
    before = {target.name: target for target in old.config.targets}
    after = {target.name: target for target in new.config.targets}
    both = {id(query) for query in old.queries} & {id(query) for query in new.queries}
    queries = [query for query in (*old.queries, *new.queries) if id(query) not in both]

    def change(name: str) -> str | None:
        was, target = before[name], after[name]
        if target.model_dump(include=_IDENTITY) != was.model_dump(include=_IDENTITY):
            return "replaced"
        intervals = {old.config.interval(was), new.config.interval(target)}
        if _polled(target) != _polled(was) or len(intervals) > 1 or queries_of(target, queries):
            return "restarted"
        return "changed" if watched(old.config, was) != watched(new.config, target) else None

    kept = {name: change(name) for name in after if name in before}
    return Changes(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in kept if kept[name] == "changed"),
        restarted=tuple(name for name in kept if kept[name] == "restarted"),
        replaced=tuple(name for name in kept if kept[name] == "replaced"),
    )


def _polled(target: Target) -> dict[str, object]:
    return target.model_dump(exclude=_VIEWED | {"interval"})
