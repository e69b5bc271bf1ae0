"""What the exporter's own probes look at, a line each: life, start, readiness."""

from collections.abc import Iterator, Mapping, Sequence

from exporter.health.rendered import Line, Part
from exporter.state.events import Instant
from exporter.state.snapshot import Snapshot

_STARTING = "starting"


def alive(snapshot: Snapshot, now: Instant) -> list[Line]:
    """Look at each target's poller: silent for too long, it serves nothing new; the stores do not matter."""
    stalled = set(snapshot.stalled_targets(now.monotonic))
    return [_line(name, "no poll for too long" if name in stalled else None) for name in snapshot.targets]


def started(snapshot: Snapshot, deadline: float, now: Instant) -> list[Line]:
    """Look whether each target was attempted once, well or not, or has had its time."""
    late = now.monotonic >= deadline
    return [_line(name, None if late or status.polls else _STARTING) for name, status in snapshot.status.items()]


def ready(start: Sequence[Line], groups: Mapping[str, Sequence[Part]], *, draining: bool) -> Iterator[Line]:
    """Look whether the process may be asked, and at the groups of targets that it was told to require.

    What nobody knows fails no group: a checker that is ill must not take the whole data tier out of service.
    """
    yield _line("startup", _STARTING if any(line.failed for line in start) else None)
    yield _line("shutdown", "draining" if draining else None)
    for group, parts in groups.items():
        failing = [part.health.name for part in parts if part.health.counted == "fail"]
        yield _line(f"group/{group}", ", ".join(failing) or None)


def _line(name: str, trouble: str | None) -> Line:
    return Line(name, f"failed: {trouble}" if trouble else "ok", bool(trouble))
