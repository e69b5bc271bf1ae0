"""The faults of the matrix: how each begins and ends, and what the user sees meanwhile."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Act = Callable[[Any], object]  # on a victim


class Page(str):
    """A page of /metrics, read by looking for a few lines: a real parser takes a second for all of them."""

    __slots__ = ()

    def value(self, metric: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels, 0 without one."""
        lines = re.findall(rf"^{metric}(?:\{{.*\}})? .*$", self, re.MULTILINE)
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(label in line for label in wanted))

    def names(self, target: str) -> set[str]:
        """Name the metrics of a target's store: not the core's, and not the store's own word for up."""
        return set(re.findall(rf'^(?!datatier_|\w+_up\{{)(\w+)\{{.*target="{target}"', self, re.MULTILINE))


class Look(NamedTuple):
    """What the exporter says of one target: its part of /health, the page, and the one from before the fault."""

    target: str
    health: Mapping[str, Any]
    page: Page
    before: Page

    def value(self, metric: str, **labels: str) -> float:
        return self.page.value(metric, target=self.target, **labels)

    @property
    def started_anew(self) -> bool:
        start = "datatier_target_start_time_seconds"
        return self.value(start) > self.before.value(start, target=self.target)


@dataclass(frozen=True)
class Fault:
    """One fault: `seen` tells whether the exporter shows it, `shown` is that in the table's words.

    down: the ping fails, so all series vanish.
    far: the proxied target meets it, else the direct one.
    lasts: until the end; otherwise it is over when it has begun, and what it changed remains.
    """

    name: str
    begin: Act
    end: Act
    shown: str
    seen: Callable[[Look], bool]
    down: bool = False
    far: bool = False
    lasts: bool = True


def _down(name: str, reason: str, begin: Act, end: Act, *, far: bool = False) -> Fault:
    def seen(look: Look) -> bool:
        codes = {found["code"] for found in look.health["reasons"]}
        return codes - {"flapping", "held"} == {reason}  # so many faults one after the other are flapping

    return Fault(name, begin, end, f"`{reason}`", seen, down=True, far=far)


def _refused(begin: Act, end: Act) -> Fault:
    def seen(look: Look) -> bool:
        failing = any(query["reason"] == "privilege" for query in look.health["failing_queries"])
        return failing or bool(look.health["missing_privileges"])

    return Fault("permission withdrawn", begin, end, "`privilege`, what is missing by name", seen)


def _degraded(what: str, check: str, begin: Act, end: Act) -> Fault:
    def seen(look: Look) -> bool:
        return any(reason.get("check") == check for reason in look.health["reasons"])

    return Fault("read-only or degraded", begin, end, f"{what}: `limit` at `{check}`", seen)


def _other_version(version: str) -> Fault:
    def seen(look: Look) -> bool:
        return str(look.health.get("version", "")).startswith(version)

    def begin(victim: Any) -> None:
        victim.become_another_version()

    return Fault("another version", begin, _nothing, f"`version` {version}", seen, lasts=False)


def _nothing(_: object) -> None: ...


SLOW = 3.0
EVERYWHERE = (
    _down("stopped", "connect", lambda victim: victim.server.stop(), lambda victim: victim.start()),
    _down("killed (-9)", "connect", lambda victim: victim.server.kill(), lambda victim: victim.start()),
    _down("frozen", "timeout", lambda victim: victim.server.freeze(), lambda victim: victim.server.thaw()),
    _down(
        "slow: each answer 3 s late",
        "timeout",
        lambda victim: victim.proxy.delay(SLOW, answers_only=True),
        lambda victim: victim.proxy.restore(),
        far=True,
    ),
    _down(
        "black hole",
        "timeout",
        lambda victim: victim.proxy.blackhole(),
        lambda victim: victim.proxy.restore(),
        far=True,
    ),
    _down(
        "cut mid-answer",
        "connect",
        lambda victim: victim.proxy.cut(10),
        lambda victim: victim.proxy.restore(),
        far=True,
    ),
    Fault(
        "restarted",
        lambda victim: victim.restart(),
        _nothing,
        "new start time",
        lambda look: look.started_anew,
        lasts=False,
    ),
)
OF_ONE: Mapping[str, tuple[Fault, ...]] = {
    "postgres": (
        _refused(lambda victim: victim.withdraw(), lambda victim: victim.grant()),
        _down("connection table full", "limit", lambda victim: victim.fill_up(), lambda victim: victim.empty()),
        Fault(
            "read-only or degraded",
            lambda victim: victim.become_a_standby(),
            lambda victim: victim.promote(),
            "in recovery: `role` replica",
            lambda look: look.health.get("role") == "replica",
        ),
        _other_version("17"),
    ),
    "neo4j": (
        Fault(
            "read-only or degraded",
            lambda victim: victim.become_read_only(),
            lambda victim: victim.become_writable(),
            "read-only: `neo4j_db_read_only` 1",
            lambda look: look.value("neo4j_db_read_only", db="neo4j") == 1,
        ),
        _other_version("2026.02"),
    ),
    "minio": (
        _refused(lambda victim: victim.withdraw(), lambda victim: victim.grant()),
        _degraded(
            "two of four drives",
            "writeQuorum",
            lambda victim: victim.lose_drives(),
            lambda victim: victim.replace_drives(),
        ),
    ),
    "qdrant": (
        _refused(lambda victim: victim.withdraw(), lambda victim: victim.recover()),
        _degraded("a red collection", "collections", lambda victim: victim.turn_red(), lambda victim: victim.recover()),
        _other_version("1.17"),
    ),
}
CELLS = [(store, fault) for store, own in OF_ONE.items() for fault in (*EVERYWHERE, *own)]
SECRET_CHANGED = _down("password changed", "auth", _nothing, _nothing)
