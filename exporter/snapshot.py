"""The last result of everything, and each target's damped state; the only thing that views read."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from exporter.accumulate import Histogram
from exporter.query import Family, Query, QueryError, Reason, Verdict
from exporter.server import ServerInfo
from exporter.thresholds import THRESHOLDS, Limit

State = Literal["ok", "unknown", "degraded", "down"]
Key = tuple[str, str, str | None]

STATES: tuple[State, ...] = ("ok", "unknown", "degraded", "down")  # their numbers in datatier_target_state
PROBE_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
QUERY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_DAMPING = 2  # polls in a row that must agree before a state changes
_BREAKER = 3  # failed polls in a row
_FLAPPING = (4, 600.0)  # more changes than this within so many seconds


def fresh_seconds(interval: float) -> float:
    """Return how long something asked every so many seconds may be served."""
    return max(2.5 * interval, 30.0)


@dataclass(frozen=True, slots=True)
class Watched:
    """Say what the views need to know of a configured target."""

    name: str
    store: str
    interval: float
    required: bool = True
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    response: Limit = THRESHOLDS["response_seconds"]


class Now(NamedTuple):
    """Hold one instant on both clocks: wall time for what people see, monotonic for what expires."""

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Ping:
    """Report one round trip; exactly one of info and error is set. fresh_until is on the monotonic clock."""

    target: str
    finished_at: float
    fresh_until: float
    duration: float
    info: ServerInfo | None = None
    error: QueryError | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """Report one run of one query; a failure is a result. fresh_until is on the monotonic clock."""

    target: str
    query: Query
    database: str | None
    finished_at: float
    fresh_until: float
    duration: float
    rows: int = 0
    families: tuple[Family, ...] = ()
    verdict: Verdict | None = None
    error: QueryError | None = None

    @property
    def key(self) -> Key:
        return self.target, self.query.name, self.database


@dataclass(frozen=True, slots=True)
class Poll:
    """Report the end of one pass of a target's fast lane, and how many passes were left out before it."""

    target: str
    finished_at: float
    duration: float
    skipped: int = 0


Event = Ping | Result | Poll


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """Hold what is known of a target; replaced, never changed."""

    state: State = "unknown"
    since: float = 0.0
    up: bool = False
    fresh_until: float = 0.0
    info: ServerInfo | None = None
    error: QueryError | None = None
    latency: float | None = None
    attempted_at: float | None = None
    succeeded_at: float | None = None
    poll_duration: float | None = None
    failed_in_row: int = 0
    disagreeing_in_row: int = 0
    polls: int = 0
    skipped: int = 0
    failures: Mapping[Reason, int] = field(default_factory=dict)
    changes: tuple[float, ...] = ()

    @property
    def breaker_open(self) -> bool:
        return self.failed_in_row >= _BREAKER

    def flapping(self, now: float) -> bool:
        limit, seconds = _FLAPPING
        return sum(now - change < seconds for change in self.changes) > limit


class Snapshot:
    """Keep the last result of each query of each target; expiry is checked when it is read."""

    def __init__(self, targets: Iterable[Watched], now: Now) -> None:
        self.targets = {target.name: target for target in targets}
        self.status = {
            name: TargetStatus(since=now.wall, fresh_until=now.monotonic + fresh_seconds(target.interval))
            for name, target in self.targets.items()
        }
        self.results: dict[Key, Result] = {}
        self.version = 0
        self.probes = {name: Histogram(PROBE_BOUNDS) for name in self.targets}
        self.timings: defaultdict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(QUERY_BOUNDS))
        self.query_succeeded_at: dict[tuple[str, str], float] = {}
        self.dropped: Counter[tuple[str, str, Reason]] = Counter()

    def put(self, event: Event) -> None:
        """Take in what a poller saw."""
        self.version += 1
        match event:
            case Ping():
                self._put_ping(event)
            case Result():
                self._put_result(event)
            case Poll():
                self._put_poll(event)

    def up(self, target: str, monotonic: float) -> bool:
        """Tell whether the last ping succeeded and is fresh: a wedged poller must not look like a live server."""
        status = self.status[target]
        return status.up and monotonic < status.fresh_until

    def state(self, target: str, monotonic: float) -> State:
        status = self.status[target]
        return status.state if monotonic < status.fresh_until else "unknown"

    def current(self, monotonic: float) -> list[Result]:
        """Return the results that may be served: fresh, and of a target that is up or a fact that outlives it."""
        return [
            result
            for result in self.results.values()
            if monotonic < result.fresh_until and (self.up(result.target, monotonic) or _outlives_target(result))
        ]

    def wedged(self, monotonic: float) -> list[str]:
        """Name the targets whose poller should long have published something, and has not."""
        return [
            name for name, status in self.status.items() if monotonic > status.fresh_until + self.targets[name].interval
        ]

    def next_expiry(self, monotonic: float) -> float:
        """Return when, on the monotonic clock, `current` or `up` will change by itself."""
        expiries = [result.fresh_until for result in self.results.values()]
        expiries += [status.fresh_until for status in self.status.values()]
        return min((expiry for expiry in expiries if expiry > monotonic), default=math.inf)

    def _put_ping(self, ping: Ping) -> None:
        before = self.status[ping.target]
        common = replace(before, fresh_until=ping.fresh_until, attempted_at=ping.finished_at)
        if ping.error is None:
            self.probes[ping.target].observe(ping.duration)
            self.status[ping.target] = replace(
                common, up=True, info=ping.info, error=None, latency=ping.duration, failed_in_row=0
            )
            return
        failures = {**before.failures, ping.error.reason: before.failures.get(ping.error.reason, 0) + 1}
        self.status[ping.target] = replace(
            common, up=False, error=ping.error, latency=None, failed_in_row=before.failed_in_row + 1, failures=failures
        )
        self.results = {
            key: result if result.target != ping.target else _facts_only(result)
            for key, result in self.results.items()
            if result.target != ping.target or _outlives_target(result)
        }

    def _put_result(self, result: Result) -> None:
        query = (result.target, result.query.name)
        self.results[result.key] = result
        if result.error is None:
            self.query_succeeded_at[query] = result.finished_at
        elif result.error.dropped:
            self.dropped[(*query, result.error.reason)] += result.error.dropped
        if result.query.timing and (result.error is None or result.error.reason == "timeout"):
            self.timings[query].observe(result.duration)

    def _put_poll(self, poll: Poll) -> None:
        status = self.status[poll.target]
        status = replace(
            status,
            attempted_at=poll.finished_at,
            succeeded_at=poll.finished_at if status.up else status.succeeded_at,
            poll_duration=poll.duration,
            polls=status.polls + 1,
            skipped=status.skipped + poll.skipped,
        )
        self.status[poll.target] = self._damped(status, self._seen_state(poll.target, status), poll.finished_at)

    def _seen_state(self, target: str, status: TargetStatus) -> State:
        if not status.up:
            return "down"
        verdicts = [result.verdict for result in self.results.values() if result.target == target]
        return "degraded" if any(v is not None and v.status in ("warn", "fail") for v in verdicts) else "ok"

    @staticmethod
    def _damped(status: TargetStatus, seen: State, now: float) -> TargetStatus:
        """Change the state once enough polls in a row disagree with it; at once where there is nothing to damp."""
        if seen == status.state:
            return replace(status, disagreeing_in_row=0)
        disagreeing = status.disagreeing_in_row + 1
        refused = seen == "down" and status.error is not None and status.error.reason == "auth"
        if disagreeing < _DAMPING and status.state != "unknown" and not refused:
            return replace(status, disagreeing_in_row=disagreeing)
        changes = tuple(change for change in status.changes if now - change < _FLAPPING[1])
        return replace(status, state=seen, since=now, disagreeing_in_row=0, changes=(*changes, now))


def _is_fact(family: Family) -> bool:
    return family.metric.name.startswith("datatier_backup_")


def _outlives_target(result: Result) -> bool:
    return any(_is_fact(family) for family in result.families)


def _facts_only(result: Result) -> Result:
    return replace(result, families=tuple(filter(_is_fact, result.families)), verdict=None, fresh_until=math.inf)
