"""Reload: read the settings again, compare, and hand over what is different; what is wrong changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from exporter.config.config import Config
from exporter.config.stores import Target
from exporter.datastores.off_loop import in_thread
from exporter.errors import ConfigError
from exporter.exposition.self_metrics import OwnMetrics
from exporter.queries.query import Query
from exporter.settings import Settings, queries_for, watched

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
        if _polled(target) != _polled(was) or len(intervals) > 1 or queries_for(target, queries):
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


Load = Callable[[], Settings]
Apply = Callable[[Settings, Changes], Awaitable[None]]

_log = structlog.get_logger("exporter")


class Reloader:
    """Reload when asked: one after another, and once for all who ask meanwhile."""

    def __init__(self, settings: Settings, load: Load, apply: Apply, own: OwnMetrics) -> None:
        self.settings = settings
        self._load = load
        self._apply = apply
        self._own = own
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[Sequence[str]]] = []

    def ask(self) -> None:
        """Have a reload done, soon; callable from the event loop and its signal handlers at any time."""
        self._asked.set()

    async def reload(self) -> Sequence[str]:
        """Have a reload done; return the problems: with a single one, all stays as it was."""
        future: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.ask()
        return await future

    async def run(self) -> None:
        """Do for ever what is asked."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            problems = await self._reload()
            for future in waiting:
                if not future.done():  # who asked may have gone
                    future.set_result(problems)

    async def _reload(self) -> Sequence[str]:
        try:
            new, changes = await in_thread(self._read)
        except ConfigError as error:
            return self._refused(error.problems)
        except (OSError, RuntimeError, MemoryError) as error:  # no descriptor, thread or memory is left
            return self._refused([f"the configuration could not be read: {error or 'out of memory'}"])
        self.settings = new
        await self._apply(new, changes)
        self._own.note_reload(success=True)
        _log.info("reloaded", **{kind: ", ".join(names) or None for kind, names in changes._asdict().items()})
        return ()

    def _refused(self, problems: Sequence[str]) -> Sequence[str]:
        self._own.note_reload(success=False)
        for problem in problems:
            _log.error("not reloaded, all stays as it was", error=problem)
        return problems

    def _read(self) -> tuple[Settings, Changes]:
        """Read and compare; in a thread, for a second is nothing with many files and targets."""
        old, new = self.settings, self._load()
        new = new._replace(config=_kept(old.config, new.config))
        new = reuse(old, new)
        return new, compare(old, new)


def _kept(old: Config, new: Config) -> Config:
    """Return the new configuration with what is as it was until a restart."""
    if new.listen != old.listen:
        _log.warning("listen changes with a restart only", listen=old.listen, configured=new.listen)
    was, configured = old.web.config_file, new.web.config_file
    if configured != was:
        _log.warning("web.config_file changes with a restart only", file=str(was), configured=str(configured))
    web = new.web.model_copy(update={"config_file": was})
    return new.model_copy(update={"listen": old.listen, "web": web})
