"""When, where and in which lane a query runs: pure functions of the configuration and the time."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from exporter.config.sharding import name_hash
from exporter.datastores.base import Lane
from exporter.queries.query import Query
from exporter.state.events import Instant, MonitoredTarget, fresh_seconds
from exporter.state.target_status import TargetStatus

PASS_SECONDS = 10.0  # that a pass of the fast lane takes at most
_FAST_LIMIT = 60.0  # seconds: queries with a longer interval run in the slow lane
_START_GAP = 0.1  # seconds between the first polls of two targets
_START_SPREAD = 5.0  # seconds in which all targets have started
_TOLERANCE = 0.005  # seconds: event loops wake slightly early, which must not count as an extra tick


def database_visits(queries: Sequence[Query], databases: Sequence[str]) -> list[tuple[Query, str]]:
    """Pair each database with the queries whose globs match its name, database by database."""
    return [
        (query, database)
        for database in databases
        for query in queries
        if any(fnmatchcase(database, glob) for glob in query.databases)
    ]


def interval(query: Query, target: MonitoredTarget) -> float:
    return max(query.interval or 0.0, target.interval)


def lane(query: Query) -> Lane:
    """Choose the lane: a query that runs seldom, or in every database, may take long, and one whose timeout says so."""
    seldom, long = (query.interval or 0.0) > _FAST_LIMIT, query.timeout > PASS_SECONDS
    return "slow" if query.scope == "database" or seldom or long else "fast"


def start_delay(place: int, targets: int, interval: float) -> float:
    """Return the seconds to wait before the first poll of the target at this place of the configuration.

    All targets start within an interval, but not at once: hundreds of simultaneous logins would block the event loop.
    """
    return place * min(_START_GAP, min(interval, _START_SPREAD) / targets)


def seconds_to_tick(target: MonitoredTarget, now: float) -> float:
    """Return the seconds to the next tick; ticks are pinned to wall time, with a fixed phase for each target."""
    phase = name_hash(target.name) / 2**64 * target.interval
    wait = target.interval - (now - phase) % target.interval
    return wait if wait > _TOLERANCE else wait + target.interval


def seconds_to_next_poll(target: MonitoredTarget, status: TargetStatus, now: Instant) -> float:
    """Return the seconds to the next poll: the next tick, after a refused login the first one after its pause."""
    pause = max(0.0, status.fresh_until - fresh_seconds(target.interval) - now.monotonic)
    return pause + seconds_to_tick(target, now.wall + pause)
