"""All query files together: the built-in ones, and the users' own, which may replace them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from exporter.config.documents import KeyPath, read_document
from exporter.config.files import in_time
from exporter.config.stores import STORES
from exporter.errors import ConfigError
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.postgres_exporter.loader import load_queries_yaml
from exporter.queries.postgres_exporter.query import ImportedQuery, series_names
from exporter.queries.query import Query
from exporter.queries.query_file import QueryContext, load_query

_PACKAGE = Path(__file__).parent.parent


def builtin_folder() -> Path:
    """Return the folder of the built-in queries: inside the installed package, or beside it in a checkout."""
    inside = _PACKAGE / "_data" / "queries"
    return inside if inside.is_dir() else _PACKAGE.parent / "queries"


def builtin_names(store: str | None = None) -> set[str]:
    """Name the built-in queries of a store, or of all."""
    return {path.stem for path in builtin_folder().glob(f"{store or '*'}/*.yaml")}


def load_queries(stores: Iterable[str], context: QueryContext, sources: Sequence[Path] = ()) -> tuple[Query, ...]:
    """Load the built-in and the users' queries of some stores; raise ConfigError with every problem.

    Sources are folders, or files of postgres_exporter. A user's query replaces the built-in one of the same file
    name and every built-in one that declares one of its metrics.
    """
    wanted = sorted(set(stores))
    problems: list[str] = []
    builtin = list(_load_folder(builtin_folder(), wanted, context, problems))
    users = [query for source in dict.fromkeys(sources) for query in _load_source(source, wanted, context, problems)]
    files = {(query.store, query.name) for _, query in users}
    names = {metric.name for _, query in users for metric in query.metrics} - CORE_METRICS.keys()
    kept = [
        (path, query)
        for path, query in builtin
        if (query.store, query.name) not in files and not names & {metric.name for metric in query.metrics}
    ]
    problems.extend(_declared_twice(kept + users))
    if problems:
        raise ConfigError(problems)
    return _with_taken_names([query for _, query in kept + users])


def _load_source(
    source: Path, stores: Sequence[str], context: QueryContext, problems: list[str]
) -> Iterator[tuple[Path, Query]]:
    """Load a folder or a file of a user, and mark its queries as untrusted."""
    if in_time(source, source.is_dir):
        problems.extend(in_time(source, lambda: list(_misplaced(source))))
        for path, query in _load_folder(source, stores, context, problems):
            yield path, query.model_copy(update={"untrusted": True})
    elif "postgres" in stores:
        try:
            yield from ((source, query) for query in load_queries_yaml(source))
        except ConfigError as error:
            problems.extend(error.problems)


def _load_folder(
    folder: Path, stores: Sequence[str], context: QueryContext, problems: list[str]
) -> Iterator[tuple[Path, Query]]:
    for store in stores:
        for path in in_time(folder, lambda store=store: sorted((folder / store).glob("*.yaml"))):  # type: ignore[misc]
            try:
                yield path, load_query(path, store, context)
            except ConfigError as error:
                problems.extend(error.problems)


def _misplaced(folder: Path) -> Iterator[str]:
    """Report files that look like queries and would not be read; hidden entries are made by Kubernetes."""
    stores = ", ".join(sorted(STORES))
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in STORES and not path.name.startswith("."):
            yield f"{path}: no store has this name; there are {stores}"
        elif path.is_file() and path.suffix in (".yaml", ".yml"):
            yield f"{path}: a query file lies in the folder of its store: {stores}"
    for path in sorted(folder.glob("*/*.yml")):
        yield f"{path}: a query file's name ends in .yaml"


def _declared_twice(queries: Sequence[tuple[Path, Query]]) -> Iterator[str]:
    """Report what two files declare; several may make samples of one core metric, each with its own labels."""
    first: dict[tuple[object, ...], Path] = {}
    for path, query in queries:
        keys: dict[tuple[object, ...], KeyPath] = {(query.store, query.name): ()}
        for metric in query.metrics:
            if isinstance(query, ImportedQuery):
                keys[(metric.name,)] = (query.namespace, "metrics")
            elif metric.name not in CORE_METRICS:
                keys[(metric.name,)] = ("metrics", metric.name)
            elif not query.labels:
                keys[(metric.name, query.store, *sorted(metric.labels.items()))] = ("metrics", metric.name)
        for key, at in keys.items():
            other = first.setdefault(key, path)
            if other != path:
                yield read_document(path).error_at(at, f"declared in {other} already")


def _with_taken_names(queries: Sequence[Query]) -> tuple[Query, ...]:
    """Give imported queries the names that a column which their file does not list may not make a metric of."""
    names = frozenset(name for query in queries for metric in query.metrics for name in series_names(metric))
    namespaces = {f"{query.namespace}_" for query in queries if isinstance(query, ImportedQuery)}

    def completed(query: ImportedQuery) -> Query:
        own = f"{query.namespace}_"
        longer = tuple(other for other in namespaces if other != own and other.startswith(own))
        return query.model_copy(update={"taken": names | CORE_METRICS.keys(), "longer_namespaces": longer})

    return tuple(completed(query) if isinstance(query, ImportedQuery) else query for query in queries)
