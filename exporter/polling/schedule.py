"""When, where and in which lane a query is asked: pure functions of what is configured, and of the time."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from exporter.config.sharding import name_hash
from exporter.datastores.base import Lane
from exporter.queries.query import Query
from exporter.state.events import Instant, MonitoredTarget, fresh_seconds
from exporter.state.target_status import TargetStatus

_SLOW_FROM = 60.0  # a longer interval goes to the slow lane
_APART = 0.1  # seconds from one target's first poll to the next one's
_SPREAD = 5.0  # seconds that all first polls may take together
_EARLY = 0.005  # event loops wake a little before the time: that is the tick, not one more before it


def database_visits(queries: Sequence[Query], databases: Sequence[str]) -> list[tuple[Query, str]]:
    """Pair queries with the databases that their globs name, database by database."""
    return [
        (query, database)
        for database in databases
        for query in queries
        if any(fnmatchcase(database, glob) for glob in query.databases)
    ]


def interval(query: Query, target: MonitoredTarget) -> float:
    return max(query.interval or 0.0, target.interval)


def lane(query: Query) -> Lane:
    """Choose the lane: what is asked seldom, or in every database, may take long."""
    return "slow" if query.scope == "database" or (query.interval or 0.0) > _SLOW_FROM else "fast"


def start_delay(place: int, targets: int, interval: float) -> float:
    """Return how long the target at this place of the configuration waits with its first poll.

    All of them start within an interval: hundreds of logins at once would stop the loop, and the servers behind them.
    """
    return place * min(_APART, min(interval, _SPREAD) / targets)


def seconds_to_tick(target: MonitoredTarget, now: float) -> float:
    """Return how long to sleep; ticks are pinned to wall time, with a phase of the target's own and no jitter."""
    phase = name_hash(target.name) / 2**64 * target.interval
    wait = target.interval - (now - phase) % target.interval
    return wait if wait > _EARLY else wait + target.interval


def seconds_to_next_poll(target: MonitoredTarget, status: TargetStatus, now: Instant) -> float:
    """Return when the target will be asked again: at the next tick, after a refused login once its pause is over."""
    pause = max(0.0, status.fresh_until - fresh_seconds(target.interval) - now.monotonic)
    return pause + seconds_to_tick(target, now.wall + pause)
