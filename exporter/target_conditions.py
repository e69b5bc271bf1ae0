"""What a load balancer may ask of one target: /health/targets/db?role=primary&max_lag=10s&max_age=30s."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.duration import parse_duration


@dataclass(frozen=True, slots=True)
class Conditions:
    """Hold what was asked; None is not asked. Durations are in seconds."""

    role: str | None = None
    max_lag: float | None = None
    max_age: float | None = None


def conditions_of(parameters: Mapping[str, str]) -> Conditions:
    """Parse the URL's parameters; raise ValueError for a name or a duration that is none."""
    unknown = parameters.keys() - {"role", "max_lag", "max_age"}
    if unknown:
        raise ValueError(f"unknown parameters: {', '.join(sorted(unknown))}; there are role, max_lag, max_age")
    durations = {name: parse_duration(parameters[name]) for name in ("max_lag", "max_age") if name in parameters}
    return Conditions(role=parameters.get("role"), **durations)


def judge(body: dict[str, Any], name: str, conditions: Conditions) -> dict[str, Any]:
    """Fail a report of one target that is down, required or not, or breaks a condition; unknown breaks it, too."""
    target = body["targets"][name]
    broken = list(_broken(target, body["checks"][f"{name}:replicationLag"][0], conditions))
    if not broken and target["state"] != "down":
        return body
    return {**body, "status": "fail", "targets": {name: {**target, "reasons": [*target["reasons"], *broken]}}}


def _broken(target: dict[str, Any], lag: dict[str, Any], conditions: Conditions) -> Iterator[dict[str, Any]]:
    if conditions.role is not None and target.get("role") != conditions.role:
        yield {"code": "limit", "check": "role", "value": target.get("role"), "limit": conditions.role}
    seconds = lag.get("observedValue") if lag.get("observedUnit") == "seconds" else None
    for check, value, limit in (
        ("replicationLag", seconds, conditions.max_lag),
        ("dataAge", target.get("data_age_seconds"), conditions.max_age),
    ):
        if limit is not None and (value is None or value > limit):
            yield {"code": "limit", "check": check, "value": value, "limit": limit, "unit": "seconds"}
