"""What the service runs on: the configuration and all queries, read together and replaced together."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from exporter.config.config import Config, load_config
from exporter.config.documents import KeyPath, read_document
from exporter.config.sharding import Shard
from exporter.config.stores import Target
from exporter.config.thresholds import THRESHOLDS, Limit, limits
from exporter.config.web_config_file import WebFile
from exporter.datastores import operations
from exporter.errors import ConfigError
from exporter.queries.loader import builtin_names, load_queries
from exporter.queries.query import Query
from exporter.queries.query_file import QueryContext
from exporter.state.checks import DATABASES, EVERYWHERE, OUR_OWN
from exporter.state.events import MonitoredTarget


class RuntimeConfig(NamedTuple):
    """Hold what the files contained at one time."""

    config: Config
    queries: tuple[Query, ...] = ()


class ConfigLoader:
    """Read the settings of one shard, at the start and at each reload; know the secrets that the log must hide."""

    def __init__(self, path: Path | None, shard: Shard | None = None, web_file: Path | None = None) -> None:
        self._path = path
        self._shard = shard
        self._web_file = web_file
        self._read: deque[RuntimeConfig] = deque(maxlen=2)

    def load(self) -> RuntimeConfig:
        """Read all files; raise ConfigError with every problem, also of targets that are another shard's."""
        try:
            settings = self._load()
        except OSError as error:
            raise ConfigError([f"{error.filename}: cannot be read: {error.strerror}"]) from None
        self._read.append(settings)
        return settings

    def secrets(self) -> set[str]:
        """Return the secrets of the last two settings read: targets of the former may still log while they end."""
        return {secret for settings in tuple(self._read) for secret in settings.config.secrets()}

    def _load(self) -> RuntimeConfig:
        config = load_config(self._path)
        if self._web_file is not None:
            config = config.model_copy(update={"web": config.web.model_copy(update={"config_file": self._web_file})})
        WebFile(config.web.config_file)  # to report its problems now
        queries = read_queries({target.store for target in config.targets}, config.queries, limits(config.thresholds))
        if self._path is not None:
            check_labels(self._path, config, queries)
            check_names(self._path, config, queries)
        queries = tuple(query for query in queries if not _disabled(query, config.disable_queries))
        if self._shard is None:
            return RuntimeConfig(config, queries)
        ours = tuple(target for target in config.targets if self._shard.holds(target.name))
        return RuntimeConfig(config.model_copy(update={"targets": ours}), queries)


def read_queries(
    stores: Iterable[str], sources: Sequence[Path] = (), thresholds: Mapping[str, Limit] = THRESHOLDS
) -> tuple[Query, ...]:
    """Load the built-in and the users' queries of some stores; raise ConfigError with every problem."""
    return load_queries(stores, QueryContext(operations, thresholds), sources)


def monitored_target(config: Config, target: Target) -> MonitoredTarget:
    return MonitoredTarget(
        name=target.name,
        store=target.store,
        interval=config.interval(target),
        required=target.required,
        maintenance=target.maintenance,
        groups=target.groups,
        labels=target.labels,
        response=config.limits(target)["response_seconds"],
        clock_skew=config.limits(target)["clock_skew_seconds"],
        unjudged=frozenset(target.checks),
        covered=config.covered(target),
    )


def queries_for(target: Target, queries: Sequence[Query]) -> list[Query]:
    """Choose a target's queries: of its store, meant for it, with what they need configured; under its own limits."""
    return [
        _limited(query, target.limits)
        for query in queries
        if query.store == target.store
        and any(fnmatchcase(target.name, glob) for glob in query.targets)
        and query.when.wanted(target)
        and not _disabled(query, target.disable_queries)
    ]


def _disabled(query: Query, globs: Sequence[str]) -> bool:
    """Return whether it is a built-in query that the globs name; a user's own is removed from its folder instead."""
    return not query.untrusted and any(fnmatchcase(query.name, glob) for glob in globs)


def _limited(query: Query, thresholds: Mapping[str, Limit]) -> Query:
    rule = query.health
    limit = thresholds.get(rule.threshold) if rule is not None and rule.threshold is not None else None
    if rule is None or limit is None:
        return query
    return query.model_copy(update={"health": rule.model_copy(update=limit.above)})


def check_labels(path: Path, config: Config, queries: Sequence[Query]) -> None:
    """Raise ConfigError where a target's label is also a query's: no series has the same label twice."""
    clashes = {
        ("targets", index, "labels", label): f"the query {query.name} has this label, too"
        for index, target in enumerate(config.targets)
        for query in queries
        if query.store == target.store
        for label in sorted(target.labels.keys() & query.label_names)
    }
    _reject(path, clashes.items())


def check_names(path: Path, config: Config, queries: Sequence[Query]) -> None:
    """Raise ConfigError for an unknown check or disabled query: a typing error would silence nothing."""
    problems = [
        *_unknown_globs(("disable_queries",), config.disable_queries, builtin_names()),
        *(problem for index in range(len(config.targets)) for problem in _of_target(config, index, queries)),
    ]
    _reject(path, problems)


def _reject(path: Path, problems: Collection[tuple[KeyPath, str]]) -> None:
    if problems:
        document = read_document(path)
        raise ConfigError([document.error_at(key, message) for key, message in problems])


def _of_target(config: Config, index: int, queries: Sequence[Query]) -> Iterator[tuple[KeyPath, str]]:
    target = config.targets[index]
    key = ("targets", index)
    yield from _unknown_globs((*key, "disable_queries"), target.disable_queries, builtin_names(target.store))
    asked = [query for query in queries if query.health is not None and query.store == target.store]
    known = {*OUR_OWN, *(query.health.check for query in asked if query.health and query.health.check)}
    for name in sorted(target.own_checks.keys() & {*known, *EVERYWHERE, DATABASES}):
        yield (*key, *target.own_checks[name]), f"{name!r} is the name of another check: choose one of its own"
    if any(_names_its_checks(query, target) for query in asked):
        return
    known |= target.own_checks.keys()
    for name in sorted(target.checks.keys() - known):
        yield (*key, "checks", name), f"a target of {target.store} has no such check; there are {_listed(known)}"


def _names_its_checks(query: Query, target: Target) -> bool:
    """Return whether a query's rows name checks that the target's keys do not: any name may be one."""
    named = query.health is not None and query.health.check_column is not None and query.when.wanted(target)
    return named and (query.untrusted or not target.own_checks)


def _unknown_globs(key: KeyPath, globs: Sequence[str], names: set[str]) -> Iterator[tuple[KeyPath, str]]:
    for index, glob in enumerate(globs):
        if not any(fnmatchcase(name, glob) for name in names):
            yield (*key, index), f"{glob!r} names no built-in query; there are {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
