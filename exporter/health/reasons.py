"""The reasons of a target's state in /health: what polls observed, and how damping changed that."""

import math
from datetime import UTC, datetime
from typing import Any

from exporter.state.checks import Check, Known, observed
from exporter.state.target_status import State, TargetStatus


def reasons(known: Known, state: State, found: list[Check]) -> list[dict[str, Any]]:
    """Return why the target is in its state, and what is wrong now, from the first failure on.

    A reason that the state does not follow, or not yet, is `pending`. A state that is held although polls observe
    another has the reason `held`, with its former cause. So a target that is ok has only pending reasons, and any
    other target has at least one that is not.
    """
    status = known.status
    polled, _ = observed(known, found)
    bad = [check for check in found if check.status in ("warn", "fail")]
    if status.error:  # the clock of an unreachable server may be known, and be the cause
        listed = [_failure(status), *(_limit(check) for check in bad if check.name == "clockSkew")]
    else:
        listed = [_limit(check) for check in bad]
    if state == "unknown":
        return _unknown(known, listed)
    if state != polled:
        listed = [{**reason, "pending": True} for reason in listed]
    if status.flapping and state == "degraded":
        return [{"code": "flapping"}, *listed]
    return listed if state in (polled, "ok") else [_held(status, polled), *listed]


def _unknown(known: Known, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if known.fresh and known.status.fault is not None:
        return listed
    if known.status.polls == 0:
        return [{"code": "starting"}, *({**reason, "pending": True} for reason in listed)]
    return [{"code": "stale"}]


def _failure(status: TargetStatus) -> dict[str, Any]:
    reason: dict[str, Any] = {"code": status.error.reason} if status.error else {}
    return reason | ({"local": status.fault} if status.fault else {})


def _held(status: TargetStatus, polled: State) -> dict[str, Any]:
    """Return the former cause, and since when polls observe something else."""
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
    """Return None for what is no number in JSON: NaN and infinities."""
    return value if value is not None and math.isfinite(value) else None


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
