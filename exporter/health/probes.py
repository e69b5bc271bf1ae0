"""The checks of the exporter's own probes, a line each: liveness, startup, readiness."""

from collections.abc import Iterator, Mapping, Sequence

from exporter.health.rendered import RenderedHealth
from exporter.health.report import Line
from exporter.state.events import Instant
from exporter.state.snapshot import Snapshot

_STARTING = "starting"


def alive(snapshot: Snapshot, now: Instant) -> list[Line]:
    """Check each target's poller: one that is silent for too long is stuck; the state of its store does not matter."""
    stalled = set(snapshot.stalled_targets(now.monotonic))
    return [_line(name, "no poll for too long" if name in stalled else None) for name in snapshot.targets]


def started(snapshot: Snapshot, deadline: float, now: Instant) -> list[Line]:
    """Check that each target was polled once, with whatever outcome, or that the deadline has passed."""
    late = now.monotonic >= deadline
    return [_line(name, None if late or status.polls else _STARTING) for name, status in snapshot.status.items()]


def ready(start: Sequence[Line], groups: Mapping[str, Sequence[RenderedHealth]], *, draining: bool) -> Iterator[Line]:
    """Check that the process may get requests, and the groups of targets that the configuration requires.

    A target in the state unknown fails no group: a faulty exporter must not take the whole data tier out of service.
    """
    yield _line("startup", _STARTING if any(line.failed for line in start) else None)
    yield _line("shutdown", "draining" if draining else None)
    for group, parts in groups.items():
        failing = [part.health.name for part in parts if part.health.counted == "fail"]
        yield _line(f"group/{group}", ", ".join(failing) or None)


def _line(name: str, failure: str | None) -> Line:
    return Line(name, f"failed: {failure}" if failure else "ok", bool(failure))
