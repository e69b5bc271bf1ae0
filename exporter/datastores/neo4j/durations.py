"""A latency histogram of completed queries, from the ring buffer that the server keeps, in Community as well."""

from collections.abc import Sequence
from typing import Any

from exporter.datastores.neo4j.session import APP, Session
from exporter.queries.histogram import Histogram
from exporter.queries.query import Row

BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
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
    """Count one database's completed queries, each once, over polls of a ring that overwrites the oldest."""

    def __init__(self) -> None:
        self._histogram = Histogram(BOUNDS)
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


async def query_durations(session: Session, params: object, state: Durations) -> Sequence[Row]:  # noqa: ARG001
    rows: list[Any] = await session.run(_COMPLETED, {"app": APP, "since": state.since})
    state.add(rows[0]["until"], rows[0]["oldest"], rows[0]["completed"], session.info.started_at)
    return [state.row()]
