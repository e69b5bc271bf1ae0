"""Reload: read the configuration again and apply what changed; a wrong configuration changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog

from exporter.config.config import Config
from exporter.config.targets import TargetBase
from exporter.datastores.off_loop import in_thread
from exporter.errors import ConfigError
from exporter.queries.query import Query
from exporter.settings import RuntimeConfig, monitored_target, queries_for

Load = Callable[[], RuntimeConfig]

_log = structlog.get_logger("exporter")

_VIEWED = {"required", "groups", "maintenance", "checks"}  # keys of a target that only views read


class ConfigDiff(NamedTuple):
    """Name each target that changes, once, by what changes of it.

    changed: only what views show. restarted: how it is polled. replaced: its server, or the labels of its series.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    restarted: tuple[str, ...]
    replaced: tuple[str, ...]


def reuse_unchanged(old: RuntimeConfig, new: RuntimeConfig) -> RuntimeConfig:
    """Return the new settings with the old query object in place of each equal one, so that identity means equality."""
    known = {(query.store, query.name): query for query in old.queries}

    def same(query: Query) -> Query:
        before = known.get((query.store, query.name))
        return before if before is not None and before == query else query

    return RuntimeConfig(new.config, tuple(map(same, new.queries)))


def diff(old: RuntimeConfig, new: RuntimeConfig) -> ConfigDiff:
    """Compare settings; the new ones come from `reuse_unchanged`."""
    before = {target.name: target for target in old.config.targets}
    after = {target.name: target for target in new.config.targets}
    both = {id(query) for query in old.queries} & {id(query) for query in new.queries}
    queries = [query for query in (*old.queries, *new.queries) if id(query) not in both]

    def kind(name: str) -> str | None:
        if name not in before:
            return "added"
        if name not in after:
            return "removed"
        was, target = before[name], after[name]
        if _identity(target) != _identity(was):
            return "replaced"
        intervals = {old.config.interval(was), new.config.interval(target)}
        if _polled(target) != _polled(was) or len(intervals) > 1 or queries_for(target, queries):
            return "restarted"
        return "changed" if monitored_target(old.config, was) != monitored_target(new.config, target) else None

    kinds = {name: kind(name) for name in after | before}
    return ConfigDiff(*(tuple(name for name in kinds if kinds[name] == field) for field in ConfigDiff._fields))


def _identity(target: TargetBase) -> tuple[object, ...]:
    """Return what makes another target of the same name when it changes."""
    return target.store, target.addresses, target.labels


def _polled(target: TargetBase) -> tuple[object, ...]:
    """Return how a target is polled; also how the targets are that it asks, such as the server of a bucket."""
    links = (_polled(link) if isinstance(link, TargetBase) else link for link in target.links)
    return target.model_dump(exclude=_VIEWED | {"interval"}), *links


def read_changes(old: RuntimeConfig, load: Load) -> tuple[RuntimeConfig, ConfigDiff]:
    """Read the configuration; takes a second with many files and targets."""
    new = load()
    new = reuse_unchanged(old, new._replace(config=_keep_until_restart(old.config, new.config)))
    return new, diff(old, new)


Read = Callable[[], tuple[RuntimeConfig, ConfigDiff]]
Apply = Callable[[RuntimeConfig, ConfigDiff], Awaitable[None]]
Note = Callable[[Sequence[str]], None]


class Reloader:
    """Run one reload at a time; requests that come in meanwhile share the next. `note` gets the problems of each."""

    def __init__(self, read: Read, apply: Apply, note: Note) -> None:
        self._read = read
        self._apply = apply
        self._note = note
        self._requested = asyncio.Event()
        self._waiting: list[asyncio.Future[Sequence[str]]] = []

    def request_reload(self) -> None:
        """Have a reload done soon; callable from the event loop and its signal handlers at any time."""
        self._requested.set()

    async def reload(self) -> Sequence[str]:
        """Have a reload done; return the problems: with a single one, nothing changes."""
        future: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.request_reload()
        return await future

    async def run(self) -> None:
        """Serve requests for ever."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            waiting, self._waiting = self._waiting, []
            problems = await self._reload()
            for future in waiting:
                if not future.done():  # its client may have disconnected
                    future.set_result(problems)

    async def _reload(self) -> Sequence[str]:
        try:
            new, changes = await in_thread(self._read)
        except ConfigError as error:
            return self._rejected(error.problems)
        except (OSError, RuntimeError, MemoryError) as error:  # no descriptor, thread or memory is left
            return self._rejected([f"the configuration could not be read: {error or 'out of memory'}"])
        await self._apply(new, changes)
        self._note(())
        _log.info("reloaded", **{kind: ", ".join(names) or None for kind, names in changes._asdict().items()})
        return ()

    def _rejected(self, problems: Sequence[str]) -> Sequence[str]:
        self._note(problems)
        for problem in problems:
            _log.error("not reloaded, all stays as it was", error=problem)
        return problems


def _keep_until_restart(old: Config, new: Config) -> Config:
    """Return the new configuration with the old values of the keys that only a restart changes."""
    if new.listen != old.listen:
        _log.warning("listen changes with a restart only", listen=old.listen, configured=new.listen)
    was, configured = old.web.config_file, new.web.config_file
    if configured != was:
        _log.warning("web.config_file changes with a restart only", file=str(was), configured=str(configured))
    web = new.web.model_copy(update={"config_file": was})
    return new.model_copy(update={"listen": old.listen, "web": web})
