"""How long queries run, sampled every second, without the server's log."""

import time
from collections.abc import Mapping, Sequence

from exporter.datastores.accumulators import Counts, WindowMaxima
from exporter.datastores.postgres.session import OperationSession
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

_THRESHOLDS = (1.0, 5.0, 30.0, 300.0)
_EVERY = 1.0  # no threshold may be shorter

_RUNNING = """
SELECT
    pg_database.datname::text,
    pid,
    extract(epoch FROM query_start)::float8 AS began_at,
    extract(epoch FROM statement_timestamp() - query_start)::float8 AS age,
    EXISTS (
        SELECT FROM pg_stat_activity AS hiding
        WHERE hiding.datid = oid
            AND (hiding.state = 'disabled' AND hiding.backend_type = 'client backend' OR hiding.backend_type IS NULL)
            AND NOT (hiding.application_name = 'datatier-exporter' AND hiding.usename = session_user)
    ) AS hidden
FROM pg_database LEFT JOIN pg_stat_activity AS activity
    ON datid = oid
    AND state = 'active'
    AND backend_type = 'client backend'
    AND NOT (application_name = 'datatier-exporter' AND usename = session_user)
WHERE datallowconn AND NOT datistemplate
"""


class Activity:
    """Count each query once for each threshold that a step saw it pass.

    A query that ran longer than a threshold and a second more is always seen then, and one that ran shorter than the
    threshold never: so each count lies between the numbers of queries longer than the two.

    hidden: databases where sessions do not show their queries. There a count is a lower bound, and 0 is no sample.
    """

    def __init__(self) -> None:
        self.longer: dict[str, Counts] = {}  # by database, then by threshold
        self.oldest: WindowMaxima[str] = WindowMaxima()
        self.hidden: set[str] = set()
        self._passed: dict[tuple[object, object], int] = {}  # by process and start of the query

    def look(self, running: Sequence[Row], now: float) -> None:
        """Take in a row a running query, and one without for each database where none runs."""
        passed: dict[tuple[object, object], int] = {}
        longer = {str(row["datname"]): [0.0] * len(_THRESHOLDS) for row in running}
        self.hidden = {str(row["datname"]) for row in running if row["hidden"]}
        ages = dict.fromkeys(longer, 0.0)
        for row in running:
            datname, query, age = str(row["datname"]), (row["pid"], row["began_at"]), row["age"]
            if isinstance(age, float):
                ages[datname] = max(ages[datname], age)
                passed[query] = sum(age >= threshold for threshold in _THRESHOLDS)
                for place in range(self._passed.get(query, 0), passed[query]):
                    longer[datname][place] += 1
        self._passed = passed
        self.longer = {name: _plus(self.longer.get(name), counts) for name, counts in longer.items()}
        self.oldest.add({name: (age,) for name, age in ages.items()}, now)

    def seen(self, datname: str, value: float) -> float | None:
        return value if value or datname not in self.hidden else None


async def _step(session: OperationSession, _params: Params, activity: Activity) -> None:
    activity.look(await session.rows(_RUNNING), time.monotonic())


async def _rows(_session: OperationSession, _params: Params, activity: Activity) -> Sequence[Row]:
    """Return a row a database and threshold, and one a database for its longest query of the last minute."""
    counted: list[Row] = [
        {"datname": name, "threshold": f"{threshold:.0f}", "longer": activity.seen(name, count), "longest": None}
        for name, counts in activity.longer.items()
        for threshold, count in zip(_THRESHOLDS, counts, strict=True)
    ]
    oldest: Mapping[str, Counts] = activity.oldest.maxima(time.monotonic())
    longest = [
        {"datname": name, "threshold": "", "longer": None, "longest": activity.seen(name, oldest[name][0])}
        for name in activity.longer
        if name in oldest
    ]
    return counted + longest


def _plus(before: Counts | None, counts: Sequence[float]) -> Counts:
    return tuple(a + b for a, b in zip(before, counts, strict=True)) if before else tuple(counts)


ACTIVITY_SAMPLER = Operation(_rows, state=Activity, step=_step, every=_EVERY)
