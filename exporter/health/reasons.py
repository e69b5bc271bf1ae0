"""Why a target is in its state, as /health tells it: what polls saw, and what the damping makes of that."""

import math
from datetime import UTC, datetime
from typing import Any

from exporter.state.checks import Check, observed
from exporter.state.events import Instant
from exporter.state.snapshot import Snapshot
from exporter.state.target_status import State, TargetStatus


def reasons(snapshot: Snapshot, name: str, state: State, found: list[Check], now: Instant) -> list[dict[str, Any]]:
    """Explain the state, and name what is wrong now, from the first failure on.

    A reason that the state does not follow, or not yet, is `pending`. A state that is held although the polls see
    another has the reason `held`, with what was the matter. So a target that is ok has only reasons that are pending,
    and any other target has one that is not.
    """
    status = snapshot.status[name]
    polled, _ = observed(snapshot.known(name, now.monotonic))
    bad = [check for check in found if check.status in ("warn", "fail")]
    if status.error:  # of a server that cannot be asked, its clock may be known, and be why
        told = [_failure(status), *(_limit(check) for check in bad if check.name == "clockSkew")]
    else:
        told = [_limit(check) for check in bad]
    if state == "unknown":
        return _unknown(status, told, now)
    if state != polled:
        told = [{**reason, "pending": True} for reason in told]
    if status.flapping and state == "degraded":
        return [{"code": "flapping"}, *told]
    return told if state in (polled, "ok") else [_held(status, polled), *told]


def _unknown(status: TargetStatus, told: list[dict[str, Any]], now: Instant) -> list[dict[str, Any]]:
    if now.monotonic < status.fresh_until and status.fault is not None:
        return told
    if status.polls == 0:
        return [{"code": "starting"}, *({**reason, "pending": True} for reason in told)]
    return [{"code": "stale"}]


def _failure(status: TargetStatus) -> dict[str, Any]:
    reason: dict[str, Any] = {"code": status.error.reason} if status.error else {}
    return reason | ({"local": status.fault} if status.fault else {})


def _held(status: TargetStatus, polled: State) -> dict[str, Any]:
    """Say what was the matter, and since when the polls see something else."""
    reason: dict[str, Any] = {"code": "held"}
    if status.cause is not None:
        reason["was"] = status.cause.code
        if status.cause.check is not None:
            reason["check"] = status.cause.check
    return reason | ({"since": iso(status.observed_since)} if polled == status.observed else {})


def _limit(check: Check) -> dict[str, Any]:
    reason: dict[str, Any] = {"code": "limit", "check": check.name}
    if (value := finite(check.value)) is not None and check.rule is not None:
        kind = "fail" if check.status == "fail" else "warn"
        above, below = getattr(check.rule, f"{kind}_above"), getattr(check.rule, f"{kind}_below")
        reason |= {"value": value, "limit": above if above is not None and value > above else below}
    return reason | ({"unit": check.unit} if check.unit else {})


def finite(value: float | None) -> float | None:
    """Leave out what JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
