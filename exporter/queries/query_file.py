"""One query file, read strictly: it becomes a query that needs no checking again, or a list of problems."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from exporter.config.documents import KeyPath, YamlDocument, read_document
from exporter.config.thresholds import Limit
from exporter.errors import ConfigError
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.lint import lint
from exporter.queries.operation import Operation
from exporter.queries.query import Query

_NO_KEYS = ("name", "store", "step_every", "untrusted")  # of a query, but not of its file
_LISTS = ("labels", "targets", "databases")


class QueryContext(NamedTuple):
    """What query files may name: the operations of a store, and limits."""

    operations: Callable[[str], Mapping[str, Operation]]
    thresholds: Mapping[str, Limit]


def load_query(path: Path, store: str, context: QueryContext) -> Query:
    """Read one query file of a store; raise ConfigError with every problem."""
    file = _QueryFile(read_document(path), context.operations(store), context.thresholds)
    data = {**file.resolved(store), "name": path.stem, "store": store}
    try:
        query = file.document.validate(Query, data, file.key)
    except ConfigError as error:
        raise ConfigError(file.problems + error.problems) from None
    for key, message in lint(query):
        file.reject(message, *key)
    if file.problems:
        raise ConfigError(file.problems)
    return query


class _QueryFile:
    """A file whose names of core metrics, operations and limits are replaced by what they stand for."""

    def __init__(
        self, document: YamlDocument, operations: Mapping[str, Operation], thresholds: Mapping[str, Limit]
    ) -> None:
        self.document = document
        self.problems: list[str] = []
        self._operations = operations
        self._thresholds = thresholds
        self._metrics = document.data.get("metrics", {})
        if not isinstance(self._metrics, dict):
            raise ConfigError([document.error_at(("metrics",), "expected metric names, each with its keys")])

    def reject(self, message: str, *key: str | int) -> None:
        self.problems.append(self.document.error_at(key, message))

    def key(self, key: KeyPath) -> KeyPath:
        """Return the file's key for one of the query's, whose metrics have numbers instead of names."""
        if len(key) > 1 and key[0] == "metrics" and isinstance(key[1], int):
            return ("metrics", list(self._metrics)[key[1]], *key[2:])
        return key

    def resolved(self, store: str) -> dict[str, Any]:
        """Return the data that the query is made of; append to `problems` what cannot be resolved."""
        data = {**self.document.data, "params": None, "step_every": None}
        for key in _NO_KEYS:
            if key in self.document.data:
                self.reject("unknown key", key)
        data["metrics"] = tuple(self._metric(name, entry) for name, entry in self._metrics.items())
        if operation := self._operation(store):
            data |= {"params": self._params(operation), "step_every": operation.every}
        data["health"] = self._health()
        lists = {key: tuple(data[key]) for key in _LISTS if isinstance(data.get(key), list)}
        return data | lists

    def _metric(self, name: str, entry: object) -> object:
        """Complete an entry with its name, and a core metric's with its type and help."""
        if not isinstance(entry, dict):
            return entry
        core = CORE_METRICS.get(name)
        if core is None:
            return {**entry, "name": name}
        for key in ("type", "help"):
            if key in entry:
                self.reject("a core metric has its own", "metrics", name, key)
        return {**entry, "type": core.metric.type, "help": core.metric.help, "name": name}

    def _operation(self, store: str) -> Operation | None:
        name = self.document.data.get("operation")
        if isinstance(name, str) and name in self._operations:
            return self._operations[name]
        if name is not None:
            there = ", ".join(sorted(self._operations)) or "none"
            self.reject(f"{store} has no operation {name!r}; there is {there}", "operation")
        elif self.document.data.get("params"):
            self.reject("only an operation takes params", "params")
        return None

    def _params(self, operation: Operation) -> object:
        try:
            params = self.document.data.get("params", {})
            return self.document.validate(operation.params, params, lambda key: ("params", *key))
        except ConfigError as error:
            self.problems += error.problems
            return None

    def _health(self) -> object:
        """Fill in the limits that `threshold: name` stands for."""
        health = self.document.data.get("health")
        if not isinstance(health, dict) or "threshold" not in health:
            return health
        limit = self._thresholds.get(str(health["threshold"]))
        if limit is None:
            there = ", ".join(sorted(self._thresholds))
            self.reject(f"there is no such threshold; there are {there}", "health", "threshold")
            return health
        return {**limit.above, **health}
