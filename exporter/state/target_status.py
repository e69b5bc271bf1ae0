"""What is known of a target, and how its state follows what the polls see: damped, and held while it flaps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from exporter.errors import QueryError, Reason
from exporter.queries.conditions import ServerInfo
from exporter.state.events import Ping, Poll
from exporter.state.local_fault import LocalFault

State = Literal["ok", "unknown", "degraded", "down"]

STATES: tuple[State, ...] = ("ok", "unknown", "degraded", "down")  # their numbers in datatier_target_state

_BREAKER = 3  # failed polls in a row
_CHANGES = 4  # more than these within the seconds below are flapping
_WITHIN = 600.0
_QUIET = _WITHIN / _CHANGES  # seconds without a change that end it: more than there were between the changes


class Cause(NamedTuple):
    """Say why a poll saw a state: the code of a reason of /health, and the check where one does not pass."""

    code: str
    check: str | None = None


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """Hold what is known of a target; replaced, never changed.

    `state` is what is shown. `settled` is the damped state, the same unless the target flaps; `cause` is why it was
    seen. `seen` is what the last poll saw, `seen_cause` why, and `seen_since` since when the polls have seen it.
    `fault` is the exporter's own, where that is why the last ping failed.
    """

    state: State = "unknown"
    settled: State = "unknown"
    cause: Cause | None = None
    seen: State = "unknown"
    seen_cause: Cause | None = None
    seen_since: float = 0.0
    since: float = 0.0
    changes: tuple[float, ...] = ()
    flapping: bool = False
    up: bool = False
    fresh_until: float = 0.0
    info: ServerInfo | None = None
    error: QueryError | None = None
    fault: LocalFault | None = None
    latency: float | None = None
    clock_skew: float | None = None
    attempted_at: float | None = None
    succeeded_at: float | None = None
    poll_duration: float | None = None
    failed_in_row: int = 0
    polls: int = 0
    skipped: int = 0
    periods: Mapping[str, float] = field(default_factory=dict)
    late: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[Reason, int] = field(default_factory=dict)

    @property
    def breaker_open(self) -> bool:
        return self.failed_in_row >= _BREAKER


def pinged(status: TargetStatus, ping: Ping) -> TargetStatus:
    """Return the status after a ping; the state stays until the poll has ended."""
    common = replace(
        status,
        up=ping.error is None,
        error=ping.error,
        fault=ping.fault,
        clock_skew=ping.clock_skew,
        fresh_until=ping.fresh_until,
        attempted_at=ping.finished_at,
    )
    if ping.error is None:
        return replace(common, info=ping.info, latency=ping.duration, failed_in_row=0)
    failures = {**status.failures, ping.error.reason: status.failures.get(ping.error.reason, 0) + 1}
    return replace(common, latency=None, failed_in_row=status.failed_in_row + 1, failures=failures)


def polled(status: TargetStatus, poll: Poll) -> TargetStatus:
    """Return the status after a poll has ended, but for the state."""
    return replace(
        status,
        attempted_at=poll.finished_at,
        succeeded_at=poll.finished_at if status.up else status.succeeded_at,
        poll_duration=poll.duration,
        polls=status.polls + 1,
        skipped=status.skipped + poll.skipped,
        periods=poll.periods,
        late=poll.late,
    )


def advanced(status: TargetStatus, seen: State, now: float, cause: Cause | None = None) -> TargetStatus:
    """Return the status after one more poll that saw a state for a cause; now is wall time.

    The damped state moves to the middle of itself and what the last two polls saw: one poll alone changes nothing, and
    a bad state is left for no better one than two polls in a row saw. There is nothing to damp at the first poll, and
    when the login is refused. What flaps is shown as degraded until it is quiet, unless the login is refused.
    """
    refused = seen == "down" and status.error is not None and status.error.reason == "auth"
    middle = sorted((status.settled, status.seen, seen), key=STATES.index)[1]
    settled = seen if refused or status.settled == "unknown" else middle
    changes = tuple(change for change in status.changes if 0 <= now - change < _WITHIN)
    if status.settled not in (settled, "unknown"):
        changes = (*changes, now)
    flapping = len(changes) > _CHANGES and now - changes[-1] < _QUIET
    state = "degraded" if flapping and not refused else settled
    # The damped state is what this poll saw, the one before it, or what it was.
    causes = ((seen, cause), (status.seen, status.seen_cause), (status.settled, status.cause))
    return replace(
        status,
        state=state,
        settled=settled,
        cause=next(why for known, why in causes if known == settled),
        seen=seen,
        seen_cause=cause,
        seen_since=status.seen_since if seen == status.seen else now,
        since=now if state != status.state else status.since,
        changes=changes,
        flapping=flapping,
    )
