"""Counters of one target, from the moment the exporter began to monitor it."""

from collections import Counter, defaultdict
from collections.abc import Container

from exporter.errors import Reason
from exporter.queries.histogram import Histogram
from exporter.state.events import Result

PROBE_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
QUERY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DROPPING: tuple[Reason, ...] = ("decode", "limit")  # reasons for which a query's series are dropped


class TargetCounters:
    """Count the pings and runs of a target; kept while the target is down."""

    def __init__(self) -> None:
        self.probes = Histogram(PROBE_BOUNDS)
        self.timings: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(QUERY_BOUNDS))
        self.succeeded_at: dict[str, float] = {}
        self.dropped: Counter[tuple[str, Reason]] = Counter()

    def count(self, result: Result) -> None:
        """Count one run of a query."""
        query, error = result.query.name, result.error
        if not result.unsupported:
            for reason in _DROPPING:
                self.dropped.setdefault((query, reason), 0)
        if result.query.timing and (error is None or error.reason == "timeout"):
            self.timings[query].observe(result.duration)
        if error is None:
            self.succeeded_at[query] = result.finished_at
        elif error.dropped:
            self.dropped[(query, error.reason)] += error.dropped

    def keep_queries(self, queries: Container[str]) -> None:
        """Drop the counts of all other queries."""
        for query in [name for name in self.timings if name not in queries]:
            del self.timings[query]
        self.succeeded_at = {name: when for name, when in self.succeeded_at.items() if name in queries}
        self.dropped = Counter({key: count for key, count in self.dropped.items() if key[0] in queries})
