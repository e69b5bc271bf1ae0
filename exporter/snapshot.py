"""The last result of everything, and each target's damped state; the only thing that views read."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from exporter.accumulate import Histogram
from exporter.query import Family, Query, QueryError, Reason
from exporter.server import ServerInfo
from exporter.thresholds import THRESHOLDS, Limit
from exporter.verdict import Verdict

State = Literal["ok", "unknown", "degraded", "down"]
Key = tuple[str, str, str | None]

STATES: tuple[State, ...] = ("ok", "unknown", "degraded", "down")  # their numbers in datatier_target_state
PROBE_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
QUERY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_BREAKER = 3  # failed polls in a row
_FLAPPING = (4, 600.0)  # more changes than this within so many seconds
_UNREACHABLE: frozenset[Reason] = frozenset({"connect", "auth", "timeout"})
_DROPPING: tuple[Reason, ...] = ("decode", "limit")  # reasons that cost a query its series


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
    maintenance: bool = False
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
    findings: tuple[str, ...] = ()
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
    seen: State = "unknown"
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


class Tally:
    """Count what a target did since the exporter started; it stays while the target is down."""

    def __init__(self) -> None:
        self.probes = Histogram(PROBE_BOUNDS)
        self.timings: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(QUERY_BOUNDS))
        self.succeeded_at: dict[str, float] = {}
        self.dropped: Counter[tuple[str, Reason]] = Counter()


class Snapshot:
    """Keep the last result of each query of each target; expiry is checked when it is read."""

    def __init__(self, targets: Iterable[Watched], now: Now) -> None:
        self.targets = {target.name: target for target in targets}
        self.status = {
            name: TargetStatus(since=now.wall, fresh_until=now.monotonic + fresh_seconds(target.interval))
            for name, target in self.targets.items()
        }
        self.results: dict[str, dict[Key, Result]] = {name: {} for name in self.targets}
        self.tallies = {name: Tally() for name in self.targets}
        self.version = 0

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

    def current(self, target: str, monotonic: float) -> list[Result]:
        """Return a target's results that may be served: fresh, and facts alone while it is not up."""
        fresh = [result for result in self.results[target].values() if monotonic < result.fresh_until]
        return fresh if self.up(target, monotonic) else [_facts_only(result) for result in fresh if _facts(result)]

    def wedged(self, monotonic: float) -> list[str]:
        """Name the targets whose poller should long have published something, and has not."""
        return [
            name for name, status in self.status.items() if monotonic > status.fresh_until + self.targets[name].interval
        ]

    def next_expiry(self, monotonic: float) -> float:
        """Return when, on the monotonic clock, `current` or `up` will change by itself."""
        expiries = [result.fresh_until for results in self.results.values() for result in results.values()]
        expiries += [status.fresh_until for status in self.status.values()]
        return min((expiry for expiry in expiries if expiry > monotonic), default=math.inf)

    def _put_ping(self, ping: Ping) -> None:
        before = self.status[ping.target]
        common = replace(before, fresh_until=ping.fresh_until, attempted_at=ping.finished_at)
        if ping.error is None:
            # Its freshness was reckoned from now. What expired, of a dropped database perhaps, need not be kept.
            now = ping.fresh_until - fresh_seconds(self.targets[ping.target].interval)
            results = self.results[ping.target].items()
            self.results[ping.target] = {key: result for key, result in results if result.fresh_until > now}
            self.tallies[ping.target].probes.observe(ping.duration)
            self.status[ping.target] = replace(
                common, up=True, info=ping.info, error=None, latency=ping.duration, failed_in_row=0
            )
            return
        failures = {**before.failures, ping.error.reason: before.failures.get(ping.error.reason, 0) + 1}
        self.status[ping.target] = replace(
            common, up=False, error=ping.error, latency=None, failed_in_row=before.failed_in_row + 1, failures=failures
        )
        self.results[ping.target] = {
            key: _facts_only(result) for key, result in self.results[ping.target].items() if _facts(result)
        }

    def _put_result(self, result: Result) -> None:
        query, results, tally = result.query.name, self.results[result.target], self.tallies[result.target]
        if result.error is None or result.error.reason != "unsupported":
            tally.dropped.update(dict.fromkeys(((query, reason) for reason in _DROPPING), 0))
        if result.query.timing and (result.error is None or result.error.reason == "timeout"):
            tally.timings[query].observe(result.duration)
        if result.database is not None:  # the databases are known again
            results.pop((result.target, query, None), None)
        before = results.get(result.key)
        results[result.key] = result
        if result.error is None:
            tally.succeeded_at[query] = result.finished_at
            return
        if result.error.dropped:
            tally.dropped[(query, result.error.reason)] += result.error.dropped
        if before is not None and _facts(before) and result.error.reason in _UNREACHABLE:
            results[result.key] = replace(result, families=_facts(before), fresh_until=math.inf)

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
        slow = status.latency is not None and status.latency > self.targets[target].response.warn
        blind = status.info is not None and bool(status.info.missing_privileges)
        verdicts = [result.verdict for result in self.results[target].values()]
        bad = any(verdict is not None and verdict.status in ("warn", "fail") for verdict in verdicts)
        return "degraded" if slow or blind or bad else "ok"

    @staticmethod
    def _damped(status: TargetStatus, seen: State, now: float) -> TargetStatus:
        """Move to the middle of the state and what the last two polls saw; at once where there is nothing to damp.

        So one poll alone changes nothing, and a bad state is left for no better one than two polls in a row saw.
        """
        refused = seen == "down" and status.error is not None and status.error.reason == "auth"
        middle = sorted((status.state, status.seen, seen), key=STATES.index)[1]
        state = seen if refused or status.state == "unknown" else middle
        status = replace(status, seen=seen)
        if state == status.state:
            return status
        changes = tuple(change for change in status.changes if now - change < _FLAPPING[1])
        return replace(status, state=state, since=now, changes=(*changes, now))


def _facts(result: Result) -> tuple[Family, ...]:
    """Return what stays true while its server cannot be asked."""
    return tuple(family for family in result.families if family.metric.name.startswith("datatier_backup"))


def _facts_only(result: Result) -> Result:
    return replace(result, families=_facts(result), verdict=None, findings=(), fresh_until=math.inf)
