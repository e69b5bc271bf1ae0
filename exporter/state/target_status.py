"""The status of a target, and how its state follows what polls observe: damped, and held while it flaps."""

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
_QUIET = _WITHIN / _CHANGES  # seconds without a change that end the flapping: more than there were between changes


class Cause(NamedTuple):
    """Why a poll saw a state: the code of a reason of /health, and the check where one does not pass."""

    code: str
    check: str | None = None


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """Hold what is known of a target; replaced, never changed.

    `state` is what is shown: the `damped` state, or degraded while the target flaps; `cause` is the cause of the
    damped state. `observed` is what the last poll saw, for `observed_cause`; all polls since `observed_since` saw it.
    `fault` is set where the last ping failed because of the exporter's own machine.
    """

    state: State = "unknown"
    damped: State = "unknown"
    cause: Cause | None = None
    observed: State = "unknown"
    observed_cause: Cause | None = None
    observed_since: float = 0.0
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
    overruns: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[Reason, int] = field(default_factory=dict)

    @property
    def breaker_open(self) -> bool:
        return self.failed_in_row >= _BREAKER


def pinged(status: TargetStatus, ping: Ping) -> TargetStatus:
    """Return the status after a ping; the state changes only at the end of the poll."""
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
    """Return the status after a poll, its state unchanged."""
    return replace(
        status,
        attempted_at=poll.finished_at,
        succeeded_at=poll.finished_at if status.up else status.succeeded_at,
        poll_duration=poll.duration,
        polls=status.polls + 1,
        skipped=status.skipped + poll.skipped,
        periods=poll.periods,
        overruns=poll.overruns,
    )


def next_status(status: TargetStatus, observed: State, now: float, cause: Cause | None = None) -> TargetStatus:
    """Return the status after one more poll that observed a state for a cause; now is wall time.

    The damped state becomes the median of itself and what the last two polls observed: it takes two polls in a row to
    change it, and it gets no better than the worse of the two. The first poll and a refused login are not damped.
    A flapping target is shown as degraded until it is quiet, unless its login is refused.
    """
    refused = observed == "down" and status.error is not None and status.error.reason == "auth"
    middle = sorted((status.damped, status.observed, observed), key=STATES.index)[1]
    damped = observed if refused or status.damped == "unknown" else middle
    changes = tuple(change for change in status.changes if 0 <= now - change < _WITHIN)
    if status.damped not in (damped, "unknown"):
        changes = (*changes, now)
    flapping = len(changes) > _CHANGES and now - changes[-1] < _QUIET
    state = "degraded" if flapping and not refused else damped
    # The damped state is what this poll observed, what the poll before it did, or what it was.
    causes = ((observed, cause), (status.observed, status.observed_cause), (status.damped, status.cause))
    return replace(
        status,
        state=state,
        damped=damped,
        cause=next(why for known, why in causes if known == damped),
        observed=observed,
        observed_cause=cause,
        observed_since=status.observed_since if observed == status.observed else now,
        since=now if state != status.state else status.since,
        changes=changes,
        flapping=flapping,
    )
