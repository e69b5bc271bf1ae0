"""The last result of each query and the damped state of each target: all that the views read."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from exporter.errors import Reason
from exporter.queries.query import Query
from exporter.state.checks import Known, observed
from exporter.state.counters import TargetCounters
from exporter.state.events import Event, Instant, Key, MonitoredTarget, Overdue, Ping, Poll, Result, fresh_seconds
from exporter.state.target_status import State, TargetStatus, next_status, pinged, polled

_UNREACHABLE: frozenset[Reason] = frozenset({"connect", "auth", "timeout"})


class Snapshot:
    """Keep the last result of each query of each target; expiry is checked at read time."""

    def __init__(self, targets: Iterable[MonitoredTarget], now: Instant) -> None:
        self.targets: dict[str, MonitoredTarget] = {}
        self.status: dict[str, TargetStatus] = {}
        self.results: dict[str, dict[Key, Result]] = {}
        self.counters: dict[str, TargetCounters] = {}
        self.version = 0
        self.changed: dict[str, int] = {}  # the version in which anything of the target changed last
        self._all_unreachable = False  # since the last change
        self._locally_failed: set[str] = set()  # targets whose last ping failed for a fault of the exporter's machine
        for target in targets:
            self.watch(target, now)

    def watch(self, target: MonitoredTarget, now: Instant) -> None:
        """Add a target, or change its configuration and keep what is known of it."""
        self.targets[target.name] = target
        if target.name not in self.status:
            fresh_until = now.monotonic + fresh_seconds(target.interval)
            self.status[target.name] = TargetStatus(since=now.wall, fresh_until=fresh_until)
            self.results[target.name] = {}
            self.counters[target.name] = TargetCounters()
        self._note_change(target.name)

    def forget(self, target: str) -> None:
        """Remove a target and everything known of it."""
        for known in (self.targets, self.status, self.results, self.counters, self.changed):
            del known[target]
        self._locally_failed.discard(target)
        self._note_change(target)

    def keep_queries(self, target: str, queries: Iterable[Query]) -> None:
        """Drop the results and counts of all other queries: those are no longer run, or were replaced."""
        kept = {query.name: query for query in queries}
        results = self.results[target].items()
        self.results[target] = {key: result for key, result in results if kept.get(key[1]) == result.query}
        self.counters[target].keep_queries(kept)
        status = self.status[target]
        known = (status.periods, status.overruns)
        periods, overruns = ({name: of[name] for name in of if name in kept} for of in known)
        self.status[target] = replace(status, periods=periods, overruns=overruns)
        self._note_change(target)

    def apply(self, event: Event) -> None:
        """Replace what is known of a target by what its poller reports."""
        match event:
            case Ping():
                self._apply_ping(event)
            case Result():
                self._apply_result(event)
            case Overdue():
                self._apply_overdue(event)
            case Poll():
                self._apply_poll(event)
        self._note_change(event.target)

    def members(self, group: str) -> list[str]:
        """Return the names of a group's targets."""
        return [name for name, target in self.targets.items() if group in target.groups]

    def up(self, target: str, monotonic: float) -> bool:
        """Return whether the last ping succeeded and is fresh: a stalled poller must not look like a live server."""
        status = self.status[target]
        return status.up and monotonic < status.fresh_until

    def state(self, target: str, monotonic: float, *, raw: bool = False) -> State:
        """Return the damped state, or with `raw` that of the last poll alone; unknown where the poller is silent.

        A target is unknown, not down, when the exporter itself could not connect. Exhausted descriptors prove that for
        one target; a missing network or failing DNS may be the target's own fault, unless every target has it.
        """
        status = self.status[target]
        if monotonic >= status.fresh_until:
            return "unknown"
        state = observed(self.known(target, monotonic))[0] if raw else status.state
        ours = status.fault == "resources" or self.all_unreachable_locally
        return "unknown" if state == "down" and ours else state

    def known(self, target: str, monotonic: float) -> Known:
        """Return what the checks of a target are computed from."""
        status = self.status[target]
        return Known(
            self.targets[target], status, self.fresh_results(target, monotonic), monotonic < status.fresh_until
        )

    @property
    def all_unreachable_locally(self) -> bool:
        """Return whether the last ping of every target failed for a fault of the exporter's own machine."""
        return bool(self._locally_failed) and len(self._locally_failed) == len(self.targets)

    def fresh_results(self, target: str, monotonic: float) -> list[Result]:
        """Return a target's results that may be served: the fresh ones; while it is not up, their facts alone."""
        fresh = [result for result in self.results[target].values() if monotonic < result.fresh_until]
        return fresh if self.up(target, monotonic) else [_facts_only(result) for result in fresh if _facts(result)]

    def stalled_targets(self, monotonic: float) -> list[str]:
        """Return the targets whose poller has published nothing for longer than it may take."""
        return [
            name for name, status in self.status.items() if monotonic > status.fresh_until + self.targets[name].interval
        ]

    def next_expiry(self, monotonic: float, target: str) -> float:
        """Return the monotonic time at which what is served of a target changes without an event."""
        expiries = [self.status[target].fresh_until]
        expiries += [result.fresh_until for result in self.results[target].values()]
        return min((expiry for expiry in expiries if expiry > monotonic), default=math.inf)

    def _note_change(self, target: str) -> None:
        """Count a version; every target's state may change with `all_unreachable_locally`."""
        self.version += 1
        if self.all_unreachable_locally != self._all_unreachable:
            self._all_unreachable = not self._all_unreachable
            self.changed = dict.fromkeys(self.targets, self.version)
        elif target in self.targets:
            self.changed[target] = self.version

    def _apply_ping(self, ping: Ping) -> None:
        before = self.status[ping.target].info
        (self._locally_failed.add if ping.fault else self._locally_failed.discard)(ping.target)
        self.status[ping.target] = pinged(self.status[ping.target], ping)
        results = self.results[ping.target].items()
        if ping.error is None:
            # The ping's freshness is counted from now. Expired results, of a dropped database perhaps, are dropped.
            now = ping.fresh_until - fresh_seconds(self.targets[ping.target].interval)
            if before and ping.info and before.identity != ping.info.identity:  # another server's results
                results = {key: _facts_only(result) for key, result in results if _facts(result)}.items()
            self.results[ping.target] = {key: result for key, result in results if result.fresh_until > now}
            self.counters[ping.target].probes.observe(ping.duration)
        else:
            self.results[ping.target] = {key: _facts_only(result) for key, result in results if _facts(result)}

    def _apply_result(self, result: Result) -> None:
        results = self.results[result.target]
        self.counters[result.target].count(result)
        if result.database is not None:  # of the time when the databases were unknown
            results.pop((result.target, result.query.name, None), None)
        before = results.get(result.key)
        kept = results[result.key] = result.counted(before)
        if result.error is not None and before is not None and _facts(before) and result.error.reason in _UNREACHABLE:
            results[result.key] = replace(kept, series=_facts(before), fresh_until=math.inf)

    def _apply_overdue(self, overdue: Overdue) -> None:
        results = self.results[overdue.target]
        for (query, database), until in overdue.until.items():
            result = results.get((overdue.target, query, database))
            if result is not None and result.fresh_until < until:
                results[result.key] = replace(result, fresh_until=until)

    def _apply_poll(self, poll: Poll) -> None:
        status = self.status[poll.target] = polled(self.status[poll.target], poll)
        # At the moment of the ping, no result of the poll had expired.
        pinged_at = status.fresh_until - fresh_seconds(self.targets[poll.target].interval)
        state, cause = observed(self.known(poll.target, pinged_at))
        self.status[poll.target] = next_status(status, state, poll.finished_at, cause)


def _facts(result: Result) -> Mapping[str, int]:
    """Return the metrics that stay true while the server cannot be reached, with their series."""
    return {metric: series for metric, series in result.series.items() if metric.startswith("datatier_backup")}


def _facts_only(result: Result) -> Result:
    return replace(result, series=_facts(result), outcomes=(), findings=(), fresh_until=math.inf)


def findings(snapshot: Snapshot, target: str, now: Instant) -> dict[str, list[str]]:
    """Return a target's findings by query; those of a database carry its name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for result in snapshot.fresh_results(target, now.monotonic):
        found[result.query.name].extend(result.in_database(name) for name in result.findings)
    return {query: found[query] for query in sorted(found) if found[query]}
