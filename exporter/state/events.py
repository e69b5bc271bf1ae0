"""The events that pollers publish and the configuration of a target: the types that snapshot and views share."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from exporter.config.thresholds import THRESHOLDS, Limit
from exporter.errors import QueryError
from exporter.queries.conditions import ServerInfo
from exporter.queries.health_rule import CheckOutcome
from exporter.queries.query import Family, Query
from exporter.state.local_fault import LocalFault

Key = tuple[str, str, str | None]


def fresh_seconds(interval: float) -> float:
    """Return for how many seconds a result may be served that is renewed at this interval."""
    return max(2.5 * interval, 30.0)


@dataclass(frozen=True, slots=True)
class MonitoredTarget:
    """Hold what the views need of a target's configuration.

    unjudged: the checks that are off. covered: whether its backups are watched; None where that is no question.
    """

    name: str
    store: str
    interval: float
    required: bool = True
    maintenance: bool = False
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    response: Limit = THRESHOLDS["response_seconds"]
    clock_skew: Limit = THRESHOLDS["clock_skew_seconds"]
    unjudged: frozenset[str] = frozenset()
    covered: bool | None = None


class Instant(NamedTuple):
    """Hold one instant on both clocks: wall time for display, monotonic time for expiry."""

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Ping:
    """Report one round trip; exactly one of info and error is set, a fault only beside an error.

    fresh_until is on the monotonic clock. clock_skew is the seconds that the server's clock was ahead of ours.
    """

    target: str
    finished_at: float
    fresh_until: float
    duration: float
    info: ServerInfo | None = None
    error: QueryError | None = None
    fault: LocalFault | None = None
    clock_skew: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """Report one run of one query; a failure is a result. fresh_until is on the monotonic clock.

    failed_in_row: the number of runs that have failed in a row, including this one; the snapshot counts them.

    The families are rendered on arrival, and the snapshot keeps only each metric's count of series: a million samples
    in memory would stop the event loop at each garbage collection.
    """

    target: str
    query: Query
    database: str | None
    finished_at: float
    fresh_until: float
    duration: float
    rows: int = 0
    families: tuple[Family, ...] = ()
    outcomes: tuple[CheckOutcome, ...] = ()
    findings: tuple[str, ...] = ()
    error: QueryError | None = None
    series: Mapping[str, int] = field(default_factory=dict)
    failed_in_row: int = 0

    @property
    def unsupported(self) -> bool:
        return self.error is not None and self.error.reason == "unsupported"

    @property
    def failed(self) -> bool:
        """Return whether it should have succeeded; what a server does not support is no failure."""
        return self.error is not None and not self.unsupported

    @property
    def key(self) -> Key:
        return self.target, self.query.name, self.database

    def in_database(self, finding: str) -> str:
        """Prefix a finding with its database where the query runs in several, as in app:public.orders."""
        return f"{self.database}:{finding}" if self.database else finding

    def counted(self, before: "Result | None") -> "Result":
        """Return what the snapshot keeps of it, given the previous result."""
        series = {family.metric.name: family.series for family in self.families}
        failed_in_row = (before.failed_in_row if before else 0) + 1 if self.failed else 0
        return replace(self, families=(), series=series, failed_in_row=failed_in_row)


def by_query(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Group results by query: one result for each database."""
    runs: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        runs[result.query.name].append(result)
    return runs


@dataclass(frozen=True, slots=True)
class Overdue:
    """Report the queries, by database, that wait too long for their turn, and until when their results are served."""

    target: str
    until: Mapping[tuple[str, str | None], float]


@dataclass(frozen=True, slots=True)
class Poll:
    """Report the end of one pass of a target's fast lane, and how many passes were skipped before it.

    periods: seconds between two runs of each query, in both lanes. overruns: those of queries that run too seldom.
    """

    target: str
    finished_at: float
    duration: float
    skipped: int = 0
    periods: Mapping[str, float] = field(default_factory=dict)
    overruns: Mapping[str, float] = field(default_factory=dict)


Event = Ping | Result | Overdue | Poll
