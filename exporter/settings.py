"""What the service goes by: the configuration and all queries, read together and replaced together."""

from collections import deque
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from exporter.config import Config, load_config
from exporter.query import Query
from exporter.query_files import check_labels, load_queries
from exporter.shard import Shard
from exporter.snapshot import Watched
from exporter.targets import Target
from exporter.thresholds import limits
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
        response=limits(config.thresholds)["response_seconds"],
    )


def queries_of(target: Target, queries: Sequence[Query]) -> list[Query]:
    """Choose a target's queries: of its store, meant for it, and with what they need configured."""
    return [
        query
        for query in queries
        if query.store == target.store
        and any(fnmatchcase(target.name, glob) for glob in query.targets)
        and query.when.wanted(target)
    ]
