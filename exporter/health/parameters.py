"""The parameters of a request, and conditions for one target: /health/targets/db?role=primary&max_lag=10s."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from exporter.health.target_health import TargetHealth
from exporter.state.events import Instant
from exporter.units import parse_bytes, parse_duration

Pairs = Iterable[tuple[str, str]]
Unit = Literal["seconds", "bytes"]

_CONDITIONS = ("role", "max_lag", "max_age", "raw", "verbose")

_YES, _NO = ("", "1", "true"), ("0", "false")
_LAG_CHECKS: dict[Unit, str] = {"seconds": "replicationLag", "bytes": "replicationLagBytes"}


def parameters(pairs: Pairs, known: Collection[str], repeatable: Collection[str] = ()) -> dict[str, list[str]]:
    """Return the values of each parameter of a URL; raise ValueError for an unknown or repeated name.

    A typing error in a load balancer's configuration must not look like a healthy server.
    """
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    if unknown := found.keys() - {*known}:
        raise ValueError(f"unknown parameters: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if twice := [name for name, values in found.items() if len(values) > 1 and name not in repeatable]:
        raise ValueError(f"given more than once: {', '.join(twice)}")
    return found


def known_ones(pairs: Pairs, known: Collection[str]) -> Pairs:
    """Drop unknown parameters: a supervisor that sends them must not end the process for the error in return."""
    return [(name, value) for name, value in pairs if name in known]


def flag(found: dict[str, list[str]], name: str) -> bool:
    """Return whether a parameter is given as ?name, ?name=1 or ?name=true."""
    value = found.get(name, ["0"])[0]
    if value not in (*_YES, *_NO):
        raise ValueError(f"{name}={value}: expected {name}=1 or nothing")
    return value in _YES


@dataclass(frozen=True, slots=True)
class RequestConditions:
    """Hold the conditions of a request, None where there is none. max_age is in seconds, max_lag in its unit."""

    role: str | None = None
    max_lag: tuple[float, Unit] | None = None
    max_age: float | None = None
    raw: bool = False
    verbose: bool = False


def conditions_of(pairs: Pairs) -> RequestConditions:
    """Parse the URL's parameters; raise ValueError for an unknown name or a wrong value."""
    found = parameters(pairs, _CONDITIONS)
    role = found.get("role", [None])[0]
    if role is not None and role not in ("primary", "replica"):
        raise ValueError(f"role={role}: expected role=primary or role=replica")
    return RequestConditions(
        role=role,
        max_lag=_lag(found["max_lag"][0]) if "max_lag" in found else None,
        max_age=parse_duration(found["max_age"][0]) if "max_age" in found else None,
        raw=flag(found, "raw"),
        verbose=flag(found, "verbose"),
    )


def _lag(text: str) -> tuple[float, Unit]:
    try:
        return parse_duration(text), "seconds"
    except ValueError:
        if text[-1:] not in ("b", "B"):
            raise ValueError(f"max_lag={text}: expected a duration such as 10s, or a size such as 16MiB") from None
    return parse_bytes(text), "bytes"


def judge(health: TargetHealth, conditions: RequestConditions, now: Instant) -> TargetHealth:
    """Fail a target that is down, required or not, in maintenance or not, or breaks a condition.

    An unknown value breaks a condition: a replica of unknown lag gets no requests.
    """
    broken = list(_broken(health, conditions, now))
    failed = bool(broken) or health.state == "down"
    if health.counts and not failed:
        return health
    condition = {**health.condition, "reasons": [*health.condition["reasons"], *broken]}
    remark = health.remark + "".join(f", not the {reason['check']} asked for" for reason in broken)
    return replace(health, counts=True, status="fail" if failed else health.status, condition=condition, remark=remark)


def _broken(health: TargetHealth, conditions: RequestConditions, now: Instant) -> Iterator[dict[str, Any]]:
    role = health.identity.get("role")
    if conditions.role is not None and role != conditions.role:
        yield {"code": "limit", "check": "role", "value": role, "limit": conditions.role}
    if conditions.max_lag is not None:
        limit, unit = conditions.max_lag
        yield from _above(_LAG_CHECKS[unit], _observed(health, _LAG_CHECKS[unit], unit), limit, unit)
    if conditions.max_age is not None:
        yield from _above("dataAge", health.age(now), conditions.max_age, "seconds")


def _above(check: str, value: float | None, limit: float, unit: Unit) -> Iterator[dict[str, Any]]:
    if value is None or value > limit:
        yield {"code": "limit", "check": check, "value": value, "limit": limit, "unit": unit}


def _observed(health: TargetHealth, check: str, unit: Unit) -> float | None:
    """Return a check's value if it has that unit: a lag in transactions or shards cannot be compared with seconds."""
    [found] = health.checks.get(f"{health.name}:{check}", [{}])
    value: float | None = found.get("observedValue")
    return value if found.get("observedUnit") == unit else None
