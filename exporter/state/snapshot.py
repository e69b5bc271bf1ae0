"""The last result of everything, and each target's damped state; the only thing that views read."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from exporter.errors import Reason
from exporter.queries.query import Query
from exporter.state.checks import Known, seen
from exporter.state.counters import Tally
from exporter.state.events import Event, Instant, Key, MonitoredTarget, Ping, Poll, Result, Waiting, fresh_seconds
from exporter.state.target_status import State, TargetStatus, advanced, pinged, polled

_UNREACHABLE: frozenset[Reason] = frozenset({"connect", "auth", "timeout"})


class Snapshot:
    """Keep the last result of each query of each target; expiry is checked when it is read."""

    def __init__(self, targets: Iterable[MonitoredTarget], now: Instant) -> None:
        self.targets: dict[str, MonitoredTarget] = {}
        self.status: dict[str, TargetStatus] = {}
        self.results: dict[str, dict[Key, Result]] = {}
        self.tallies: dict[str, Tally] = {}
        self.version = 0
        self.changed: dict[str, int] = {}  # the version in which anything of the target changed last
        self._unasked: set[str] = set()  # targets whose last ping failed for a fault of ours
        for target in targets:
            self.watch(target, now)

    def watch(self, target: MonitoredTarget, now: Instant) -> None:
        """Begin with a target, or keep all that is known of one that is configured otherwise now."""
        blind = self.blind
        self.targets[target.name] = target
        if target.name not in self.status:
            fresh_until = now.monotonic + fresh_seconds(target.interval)
            self.status[target.name] = TargetStatus(since=now.wall, fresh_until=fresh_until)
            self.results[target.name] = {}
            self.tallies[target.name] = Tally()
        self._note_change(target.name, blind)

    def forget(self, target: str) -> None:
        """Drop a target and all that is known of it."""
        blind = self.blind
        for known in (self.targets, self.status, self.results, self.tallies, self.changed):
            del known[target]
        self._unasked.discard(target)
        self._note_change(target, blind)

    def retain(self, target: str, queries: Iterable[Query]) -> None:
        """Drop what a target's other queries told: they are asked no more, or were replaced."""
        asked = {query.name: query for query in queries}
        results = self.results[target].items()
        self.results[target] = {key: result for key, result in results if asked.get(key[1]) == result.query}
        self.tallies[target].retain(asked)
        self._note_change(target, self.blind)

    def put(self, event: Event) -> None:
        """Take in what a poller saw."""
        blind = self.blind
        match event:
            case Ping():
                self._put_ping(event)
            case Result():
                self._put_result(event)
            case Waiting():
                self._put_waiting(event)
            case Poll():
                self._put_poll(event)
        self._note_change(event.target, blind)

    def members(self, group: str) -> list[str]:
        """Name the targets that a group holds."""
        return [name for name, target in self.targets.items() if group in target.groups]

    def up(self, target: str, monotonic: float) -> bool:
        """Tell whether the last ping succeeded and is fresh: a wedged poller must not look like a live server."""
        status = self.status[target]
        return status.up and monotonic < status.fresh_until

    def state(self, target: str, monotonic: float, *, raw: bool = False) -> State:
        """Return the state to show, or the one that the last poll saw by itself; unknown where the poller is silent.

        Nobody knows whether a target is down when the exporter could not even ask. That it is out of descriptors proves
        it for one target; no network and no names may be that target's own trouble, unless they are everybody's.
        """
        status = self.status[target]
        if monotonic >= status.fresh_until:
            return "unknown"
        state = seen(self.known(target, monotonic))[0] if raw else status.state
        unasked = status.fault == "resources" or self.blind
        return "unknown" if state == "down" and unasked else state

    def known(self, target: str, monotonic: float) -> Known:
        """Return what checks judge a target by."""
        status = self.status[target]
        return Known(self.targets[target], status, self.current(target, monotonic), monotonic < status.fresh_until)

    @property
    def blind(self) -> bool:
        """Tell whether no target at all could be asked, for reasons that lie with the exporter's own machine."""
        return bool(self._unasked) and len(self._unasked) == len(self.targets)

    def current(self, target: str, monotonic: float) -> list[Result]:
        """Return a target's results that may be served: fresh, and facts alone while it is not up."""
        fresh = [result for result in self.results[target].values() if monotonic < result.fresh_until]
        return fresh if self.up(target, monotonic) else [_facts_only(result) for result in fresh if _facts(result)]

    def wedged(self, monotonic: float) -> list[str]:
        """Name the targets whose poller should long have published something, and has not."""
        return [
            name for name, status in self.status.items() if monotonic > status.fresh_until + self.targets[name].interval
        ]

    def next_expiry(self, monotonic: float, target: str | None = None) -> float:
        """Return when, on the monotonic clock, `current`, `up` or `state` of any or one will change by itself."""
        names = self.targets if target is None else (target,)
        expiries = [result.fresh_until for name in names for result in self.results[name].values()]
        expiries += [self.status[name].fresh_until for name in names]
        return min((expiry for expiry in expiries if expiry > monotonic), default=math.inf)

    def _note_change(self, target: str, was_blind: bool) -> None:  # noqa: FBT001 - private
        """Count a version; all targets change with it when blindness comes or goes."""
        self.version += 1
        if self.blind != was_blind:
            self.changed = dict.fromkeys(self.targets, self.version)
        elif target in self.targets:
            self.changed[target] = self.version

    def _put_ping(self, ping: Ping) -> None:
        before = self.status[ping.target].info
        (self._unasked.add if ping.fault else self._unasked.discard)(ping.target)
        self.status[ping.target] = pinged(self.status[ping.target], ping)
        results = self.results[ping.target].items()
        if ping.error is None:
            # Its freshness was reckoned from now. What expired, of a dropped database perhaps, need not be kept.
            now = ping.fresh_until - fresh_seconds(self.targets[ping.target].interval)
            if before and ping.info and before.identity != ping.info.identity:  # they are another server's
                results = {key: _facts_only(result) for key, result in results if _facts(result)}.items()
            self.results[ping.target] = {key: result for key, result in results if result.fresh_until > now}
            self.tallies[ping.target].probes.observe(ping.duration)
        else:
            self.results[ping.target] = {key: _facts_only(result) for key, result in results if _facts(result)}

    def _put_result(self, result: Result) -> None:
        results = self.results[result.target]
        self.tallies[result.target].note(result)
        if result.database is not None:  # the databases are known again
            results.pop((result.target, result.query.name, None), None)
        before = results.get(result.key)
        kept = results[result.key] = result.counted(before)
        if result.error is not None and before is not None and _facts(before) and result.error.reason in _UNREACHABLE:
            results[result.key] = replace(kept, series=_facts(before), fresh_until=math.inf)

    def _put_waiting(self, waiting: Waiting) -> None:
        results = self.results[waiting.target]
        for (query, database), until in waiting.until.items():
            result = results.get((waiting.target, query, database))
            if result is not None and result.fresh_until < until:
                results[result.key] = replace(result, fresh_until=until)

    def _put_poll(self, poll: Poll) -> None:
        status = self.status[poll.target] = polled(self.status[poll.target], poll)
        # At the moment of the ping: nothing that the poll brought had expired.
        pinged_at = status.fresh_until - fresh_seconds(self.targets[poll.target].interval)
        state, cause = seen(self.known(poll.target, pinged_at))
        self.status[poll.target] = advanced(status, state, poll.finished_at, cause)


def _facts(result: Result) -> Mapping[str, int]:
    """Return what stays true while its server cannot be asked."""
    return {metric: series for metric, series in result.series.items() if metric.startswith("datatier_backup")}


def _facts_only(result: Result) -> Result:
    return replace(result, series=_facts(result), outcome=None, findings=(), fresh_until=math.inf)


def findings(snapshot: Snapshot, target: str, now: Instant) -> dict[str, list[str]]:
    """Return a target's findings by query; those of a database carry its name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for result in snapshot.current(target, now.monotonic):
        found[result.query.name].extend(result.in_database(name) for name in result.findings)
    return {query: found[query] for query in sorted(found) if found[query]}
