"""What the service goes by: the configuration and all queries, read together and replaced together."""

from collections import deque
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from exporter.config import Config, load_config
from exporter.configured_names import check_labels, check_names
from exporter.events import Watched
from exporter.query import Query
from exporter.query_files import load_queries
from exporter.shard import Shard
from exporter.targets import Target
from exporter.thresholds import Limit, limits
from exporter.web_file import WebFile
from exporter.yaml_file import ConfigError


class Settings(NamedTuple):
    """Hold what the files say at one time."""

    config: Config
    queries: tuple[Query, ...]


class Source:
    """Read the settings of one shard, again and again; know what the log must hide."""

    def __init__(self, path: Path | None, shard: Shard | None = None, web_file: Path | None = None) -> None:
        self._path = path
        self._shard = shard
        self._web_file = web_file
        self._read: deque[Settings] = deque(maxlen=2)

    def load(self) -> Settings:
        """Read all files; raise ConfigError with every problem, also of targets that are another shard's."""
        try:
            settings = self._load()
        except OSError as error:
            raise ConfigError([f"{error.filename}: cannot be read: {error.strerror}"]) from None
        self._read.append(settings)
        return settings

    def secrets(self) -> set[str]:
        """Return the present secrets of what was read last, and before: its targets may have a last word."""
        return {secret for settings in tuple(self._read) for secret in settings.config.secrets()}

    def _load(self) -> Settings:
        config = load_config(self._path)
        if self._web_file is not None:
            config = config.model_copy(update={"web": config.web.model_copy(update={"config_file": self._web_file})})
        WebFile(config.web.config_file)  # what is wrong with it is to be known now
        queries = load_queries({target.store for target in config.targets}, config.queries, limits(config.thresholds))
        if self._path is not None:
            check_labels(self._path, config, queries)
            check_names(self._path, config, queries)
        queries = tuple(query for query in queries if not _disabled(query, config.disable_queries))
        if self._shard is None:
            return Settings(config, queries)
        ours = tuple(target for target in config.targets if self._shard.holds(target.name))
        return Settings(config.model_copy(update={"targets": ours}), queries)


def watched(config: Config, target: Target) -> Watched:
    return Watched(
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
    )


def queries_of(target: Target, queries: Sequence[Query]) -> list[Query]:
    """Choose a target's queries: of its store, meant for it, with what they need configured; under its own limits."""
    return [
        _limited(query, target.thresholds)
        for query in queries
        if query.store == target.store
        and any(fnmatchcase(target.name, glob) for glob in query.targets)
        and query.when.wanted(target)
        and not _disabled(query, target.disable_queries)
    ]


def _disabled(query: Query, globs: Sequence[str]) -> bool:
    """Tell whether it is a built-in query that the globs name; users' own are taken out of their folder."""
    return not query.fenced and any(fnmatchcase(query.name, glob) for glob in globs)


def _limited(query: Query, thresholds: Mapping[str, Limit]) -> Query:
    rule = query.health
    limit = thresholds.get(rule.threshold) if rule is not None and rule.threshold is not None else None
    if rule is None or limit is None:
        return query
    return query.model_copy(update={"health": rule.model_copy(update=limit.above)})
