"""What a configuration says of the queries it is read with: labels that clash, names that there are not."""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from exporter.checks import OUR_OWN
from exporter.config import Config
from exporter.query import Query
from exporter.query_files import builtin_names
from exporter.yaml_file import ConfigError, KeyPath, read_document


def check_labels(path: Path, config: Config, queries: Sequence[Query]) -> None:
    """Raise ConfigError where a target's label is one of a query's: no series has the same label twice."""
    clashes = {
        ("targets", index, "labels", label): f"the query {query.name} has this label, too"
        for index, target in enumerate(config.targets)
        for query in queries
        if query.store == target.store
        for label in sorted(target.labels.keys() & query.label_names)
    }
    if clashes:
        document = read_document(path)
        raise ConfigError([document.problem(key, message) for key, message in clashes.items()])


def check_names(path: Path, config: Config, queries: Sequence[Query]) -> None:
    """Raise ConfigError for a check or a disabled query that there is not: it was meant to silence something."""
    problems = [
        *_unknown_globs(("disable_queries",), config.disable_queries, builtin_names()),
        *(problem for index in range(len(config.targets)) for problem in _of_target(config, index, queries)),
    ]
    if problems:
        document = read_document(path)
        raise ConfigError([document.problem(key, message) for key, message in problems])


def _of_target(config: Config, index: int, queries: Sequence[Query]) -> Iterator[tuple[KeyPath, str]]:
    target = config.targets[index]
    key = ("targets", index)
    yield from _unknown_globs((*key, "disable_queries"), target.disable_queries, builtin_names(target.store))
    known = {query.health.check for query in queries if query.health is not None and query.store == target.store}
    known.update(OUR_OWN)
    for name in sorted(target.checks.keys() - known):
        yield (*key, "checks", name), f"a target of {target.store} has no such check; there are {_listed(known)}"


def _unknown_globs(key: KeyPath, globs: Sequence[str], names: set[str]) -> Iterator[tuple[KeyPath, str]]:
    for index, glob in enumerate(globs):
        if not any(fnmatchcase(name, glob) for name in names):
            yield (*key, index), f"{glob!r} names no built-in query; there are {_listed(names)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
