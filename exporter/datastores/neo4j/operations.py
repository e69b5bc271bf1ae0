"""Operations for rows that one Cypher statement cannot make: zeros of what is missing, units of settings, latency."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from exporter.datastores.neo4j.session import APP, OperationSession
from exporter.queries.histogram import Histogram
from exporter.queries.operation import Operation
from exporter.queries.query import Row

DATABASE_STATUSES = (
    "online", "offline", "starting", "stopping", "initial", "store copying",
    "dirty", "quarantined", "deallocating", "mixed", "unknown",
)  # fmt: skip
TRANSACTION_STATUSES = ("Running", "Blocked", "Closing", "Terminated")
THRESHOLDS = (1, 10, 60, 300)

_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([a-zA-Zμ]*)")


def _database_status(databases: Sequence[Row]) -> Sequence[Row]:
    """Count a database's members by status: one member on a single server, one a copy in a cluster."""
    counts = Counter((str(row["name"]), str(row["status"])) for row in databases)
    return _with_zeros("members", sorted({name for name, _ in counts}), DATABASE_STATUSES, counts)


def _transactions(databases: Sequence[Row], transactions: Sequence[Row]) -> Sequence[Row]:
    counts = {(str(row["database"]), str(row["status"])): row["transactions"] for row in transactions}
    return _with_zeros("transactions", _by_database(databases, transactions), TRANSACTION_STATUSES, counts)


def _transaction_load(databases: Sequence[Row], transactions: Sequence[Row]) -> Sequence[Row]:
    sums = ("locks", "wait", "page_hits", "page_faults", "heap", "native")
    return [
        {
            "db": name,
            "oldest": min((row["oldest"] for row in rows), default=None),  # type: ignore[type-var]  # numbers
            "longest": max((row["longest"] for row in rows), default=0),  # type: ignore[type-var]  # numbers
            **{column: _sum(rows, column) for column in sums},
        }
        for name, rows in _by_database(databases, transactions).items()
    ]


def _transactions_over(databases: Sequence[Row], transactions: Sequence[Row]) -> Sequence[Row]:
    return [
        {"db": name, "threshold": threshold, "transactions": _sum(rows, f"over_{threshold}")}
        for name, rows in _by_database(databases, transactions).items()
        for threshold in THRESHOLDS
    ]


def _by_database(databases: Sequence[Row], transactions: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    """Return the rows of SHOW TRANSACTIONS by database; a database without transactions has none."""
    names = {str(row["name"]) for row in databases}
    found: dict[str, list[Row]] = {name: [] for name in sorted(names)}
    for row in transactions:
        found.setdefault(str(row["database"]), []).append(row)
    return found


def _settings(settings: Sequence[Row]) -> Sequence[Row]:
    return [{"setting": row["name"], **quantity(str(row["value"] or ""))} for row in settings]


def quantity(text: str) -> dict[str, float | None]:
    """Read a setting's value as the server prints it: 64.00MiB is bytes, 15m seconds, 400 a plain value."""
    numbers: dict[str, float | None] = {"bytes": None, "seconds": None, "value": None}
    parts = _QUANTITY.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return numbers
    units = {unit for _, unit in parts}
    for column, known in (("bytes", _BYTES), ("seconds", _SECONDS), ("value", {"": 1})):
        if units <= known.keys():
            numbers[column] = sum(float(number) * known[unit] for number, unit in parts)
    return numbers


def _with_zeros(
    column: str, names: Iterable[str], statuses: Sequence[str], counts: Mapping[tuple[str, str], object]
) -> list[Row]:
    """Return one row a database and status: these statuses, and others that the server reports of the database."""
    return [
        {"db": name, "status": status, column: counts.get((name, status), 0)}
        for name in names
        for status in (*statuses, *sorted({other for of, other in counts if of == name} - {*statuses}))
    ]


def _sum(rows: Iterable[Row], column: str) -> float:
    return float(sum(row[column] for row in rows))  # type: ignore[misc]  # numbers


_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_NEVER = 2**62

# Only the server's clock decides which entries are new. An entry may reach the ring late: the last two seconds are left
# for the next poll. Neither a query's text nor its parameters are returned.
_COMPLETED = """
CALL db.stats.retrieve('QUERIES', {maxInvocations: 8192}) YIELD data
WHERE NOT data.query CONTAINS $app
UNWIND data.invocations AS invocation
WITH
  invocation.elapsedExecutionTimeInUs + coalesce(invocation.elapsedCompileTimeInUs, 0) AS total,
  coalesce(invocation.elapsedCompileTimeInUs, 0) AS compiling,
  invocation.startTimestampMillis AS started
WITH total, compiling, started + total / 1000 AS ended
WITH
  min(ended) AS oldest,
  collect(CASE WHEN ended > $since AND ended <= timestamp() - 2000 THEN [total, compiling] END) AS completed
RETURN timestamp() - 2000 AS until, oldest, completed
"""


class Durations:
    """Count one database's completed queries, each once, from the ring that the server keeps, in Community as well."""

    def __init__(self) -> None:
        self._histogram = Histogram(_BOUNDS)
        self._compiling = 0.0
        self._gaps = 0
        self._since: int | None = None
        self._started_at: float | None = None
        self._ring_reached_back = False

    @property
    def since(self) -> int:
        """Return the server's time in milliseconds up to which queries are counted; the first poll counts none."""
        return _NEVER if self._since is None else self._since

    def add(self, until: int, oldest: int | None, completed: Sequence[Sequence[int]], started_at: float | None) -> None:
        """Count the entries of one poll of the ring.

        When an entry that the last poll saw is gone, others may have been lost before they were counted: that is a
        gap. A restart empties the ring and is no gap.
        """
        for total, compiling in completed:
            self._histogram.observe(total / 1e6)
            self._compiling += compiling / 1e6
        if self._ring_reached_back and started_at == self._started_at and (oldest is None or oldest > self.since):
            self._gaps += 1
        self._ring_reached_back = oldest is not None and oldest <= until
        self._since, self._started_at = until, started_at

    def row(self) -> Row:
        value = self._histogram.value()
        return {
            "seconds": dict(value.buckets),
            "seconds_sum": value.sum,
            "compile_seconds": self._compiling,
            "gaps": self._gaps,
        }


async def _query_durations(session: OperationSession, params: object, state: Durations) -> Sequence[Row]:  # noqa: ARG001
    rows: list[Any] = await session.run(_COMPLETED, {"app": APP, "since": state.since})
    state.add(rows[0]["until"], rows[0]["oldest"], rows[0]["completed"], session.info.started_at)
    return [state.row()]


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "database_status": Operation(_database_status, reads=("databases",)),
        "query_durations": Operation(_query_durations, state=Durations),
        "settings": Operation(_settings, reads=("settings",)),
        "transaction_load": Operation(_transaction_load, reads=("databases", "transactions")),
        "transactions": Operation(_transactions, reads=("databases", "transactions")),
        "transactions_over": Operation(_transactions_over, reads=("databases", "transactions")),
    }
)
