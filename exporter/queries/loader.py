"""Query files: found, read strictly and linted; what leaves here needs no checking again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.config.documents import KeyPath, YamlDocument, read_document
from exporter.config.files import in_time
from exporter.config.stores import STORES
from exporter.config.thresholds import Limit
from exporter.errors import ConfigError
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.lint import lint
from exporter.queries.operation import Operation
from exporter.queries.postgres_exporter.loader import load_queries_yaml
from exporter.queries.postgres_exporter.query import ImportedQuery, series_names
from exporter.queries.query import Query

_NO_KEYS = ("name", "store", "step_every", "untrusted")  # of a query, but not of its file


class Known(NamedTuple):
    """Tell what query files may name: the operations of each store, and limits."""

    operations: Callable[[str], Mapping[str, Operation]]
    thresholds: Mapping[str, Limit]


PACKAGE = Path(__file__).parent.parent


def builtin_folder() -> Path:
    """Return the folder of the built-in queries: inside the installed package, or beside it in a checkout."""
    inside = PACKAGE / "_data" / "queries"
    return inside if inside.is_dir() else PACKAGE.parent / "queries"


def builtin_names(store: str | None = None) -> set[str]:
    """Name the built-in queries of a store, or of all."""
    return {path.stem for path in builtin_folder().glob(f"{store or '*'}/*.yaml")}


def load_queries(stores: Iterable[str], known: Known, sources: Sequence[Path] = ()) -> tuple[Query, ...]:
    """Load the built-in and the users' queries of some stores; raise ConfigError with every problem.

    Sources are folders, or files of postgres_exporter. A user's query replaces the built-in one of the same file
    name and every built-in one that declares one of its metrics.
    """
    wanted = sorted(set(stores))
    problems: list[str] = []
    builtin = list(_load_folder(builtin_folder(), wanted, known, problems))
    users = [query for source in dict.fromkeys(sources) for query in _load_source(source, wanted, known, problems)]
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
    return _apart([query for _, query in kept + users])


def _load_source(
    source: Path, stores: Sequence[str], known: Known, problems: list[str]
) -> Iterator[tuple[Path, Query]]:
    """Load what users wrote, marked as untrusted."""
    if in_time(source, source.is_dir):
        problems.extend(in_time(source, lambda: list(_misplaced(source))))
        for path, query in _load_folder(source, stores, known, problems):
            yield path, query.model_copy(update={"untrusted": True})
    elif "postgres" in stores:
        try:
            yield from ((source, query) for query in load_queries_yaml(source))
        except ConfigError as error:
            problems.extend(error.problems)


def _load_folder(
    folder: Path, stores: Sequence[str], known: Known, problems: list[str]
) -> Iterator[tuple[Path, Query]]:
    for store in stores:
        for path in in_time(folder, lambda store=store: sorted((folder / store).glob("*.yaml"))):  # type: ignore[misc]
            try:
                yield path, load_query(path, store, known)
            except ConfigError as error:
                problems.extend(error.problems)


def _misplaced(folder: Path) -> Iterator[str]:
    """Name what looks like a query and would never be read; hidden entries are Kubernetes' own."""
    stores = ", ".join(sorted(STORES))
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in STORES and not path.name.startswith("."):
            yield f"{path}: no store has this name; there are {stores}"
        elif path.is_file() and path.suffix in (".yaml", ".yml"):
            yield f"{path}: a query file lies in the folder of its store: {stores}"
    for path in sorted(folder.glob("*/*.yml")):
        yield f"{path}: a query file's name ends in .yaml"


def load_query(path: Path, store: str, known: Known) -> Query:
    """Read one query file of a store."""
    document = read_document(path)
    data = dict(document.data)
    problems = [document.error_at((key,), "unknown key") for key in _NO_KEYS if key in data]
    metrics = data.get("metrics", {})
    if not isinstance(metrics, dict):
        raise ConfigError([document.error_at(("metrics",), "expected metric names, each with its keys")])
    names = tuple(metrics)
    data["metrics"] = tuple(_metric(name, entry) for name, entry in metrics.items())
    for name in metrics.keys() & CORE_METRICS.keys():
        declared = [key for key in ("type", "help") if isinstance(metrics[name], dict) and key in metrics[name]]
        problems += [document.error_at(("metrics", name, key), "a core metric has its own") for key in declared]
    data["params"], found = _params(document, store, known)
    problems.extend(found)
    data["step_every"] = _step_every(document, store, known)
    data["health"], found = _health(document, known.thresholds)
    problems.extend(found)
    for key in ("labels", "targets", "databases"):
        if isinstance(data.get(key), list):
            data[key] = tuple(data[key])

    def at(key: KeyPath) -> KeyPath:
        if len(key) > 1 and key[0] == "metrics" and isinstance(key[1], int):
            return ("metrics", names[key[1]], *key[2:])
        return key

    try:
        query = document.validate(Query, {**data, "name": path.stem, "store": store}, at)
    except ConfigError as error:
        raise ConfigError(problems + error.problems) from None
    problems.extend(document.error_at(key, message) for key, message in lint(query))
    if problems:
        raise ConfigError(problems)
    return query


def _metric(name: str, entry: object) -> object:
    """Complete an entry with its name, and a core metric's with its type and help."""
    if not isinstance(entry, dict):
        return entry
    core = CORE_METRICS.get(name)
    declared = {"type": core.metric.type, "help": core.metric.help} if core else {}
    return {**entry, **declared, "name": name}


def _params(document: YamlDocument, store: str, known: Known) -> tuple[object, list[str]]:
    """Validate `params` by the model of the file's operation."""
    operation, params = document.data.get("operation"), document.data.get("params", {})
    if operation is None:
        return None, [document.error_at(("params",), "only an operation takes params")] if params else []
    operations = known.operations(store)
    if not isinstance(operation, str) or operation not in operations:
        there = ", ".join(sorted(operations)) or "none"
        return None, [document.error_at(("operation",), f"{store} has no operation {operation!r}; there is {there}")]
    try:
        return document.validate(operations[operation].params, params, lambda key: ("params", *key)), []
    except ConfigError as error:
        return None, error.problems


def _step_every(document: YamlDocument, store: str, known: Known) -> float | None:
    """Return how often the file's operation takes a step between polls, if it does."""
    operation = document.data.get("operation")
    operations = known.operations(store)
    return operations[operation].every if isinstance(operation, str) and operation in operations else None


def _health(document: YamlDocument, thresholds: Mapping[str, Limit]) -> tuple[object, list[str]]:
    """Fill in the limits that `threshold: name` means."""
    health = document.data.get("health")
    if not isinstance(health, dict) or "threshold" not in health:
        return health, []
    limit = thresholds.get(str(health["threshold"]))
    if limit is None:
        there = ", ".join(sorted(thresholds))
        return health, [document.error_at(("health", "threshold"), f"there is no such threshold; there are {there}")]
    return {**limit.above, **health}, []


def _declared_twice(queries: Sequence[tuple[Path, Query]]) -> Iterator[str]:
    """Name what two files declare; several may feed one core metric, each with labels of its own."""
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


def _apart(queries: Sequence[Query]) -> tuple[Query, ...]:
    """Tell imported queries which names a column that their file does not list may not make: they are others'."""
    names = frozenset(name for query in queries for metric in query.metrics for name in series_names(metric))
    namespaces = {f"{query.namespace}_" for query in queries if isinstance(query, ImportedQuery)}

    def apart(query: ImportedQuery) -> Query:
        own = f"{query.namespace}_"
        longer = tuple(other for other in namespaces if other != own and other.startswith(own))
        return query.model_copy(update={"taken": names | CORE_METRICS.keys(), "longer_namespaces": longer})

    return tuple(apart(query) if isinstance(query, ImportedQuery) else query for query in queries)
