"""What the facts of a set mean under its policy: the status of its check, and what is wrong, in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.datastores.backup_sets.backup import SetFacts
from exporter.datastores.backup_sets.findings import (
    Finding,
    age_findings,
    copy_findings,
    duration_findings,
    rejected_findings,
    retention_findings,
    shrunk_findings,
    wal_findings,
)
from exporter.datastores.backup_sets.inventory import Inventory, inventory
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.datastores.backup_sets.retention import History, Kept, kept
from exporter.errors import Reason
from exporter.queries.health_rule import STATUSES, Status
from exporter.units import span

NOT_YET = Finding("unknown", "not looked at yet")
# Looks that do not get to their end; the longest pace between two of them is a quarter of an hour.
_STALE_SECONDS = 1800.0
_UNREADABLE: dict[Reason, str] = {  # where the error has no words of its own
    "connect": "its place does not answer",
    "timeout": "its place answers too late",
    "auth": "its place refuses the login",
    "privilege": "the exporter may not read it",
    "decode": "what lies there is not what its format says",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The check of a set; findings: the worst first. inventory: None where nothing is known. kept: by tier."""

    status: Status
    findings: tuple[str, ...]
    inventory: Inventory | None = None
    kept: Sequence[Kept] = ()


def judge(observed: ObservedSet) -> Judgement:
    """Judge a set now; one that cannot be read, as it was when it could: that time passes makes no backup bad.

    It costs a sort of the backups; the number of periods that are kept counts little beside.
    """
    facts, policy = observed.facts, observed.policy
    looking = list(_looking(facts, observed.now))
    if not known(facts) or facts.observed_at is None:
        return _judgement(looking)
    now = facts.observed_at if looking else observed.now
    there = inventory(facts.backups, policy.size, now)
    moments = _moments(observed, there)
    retained = kept(History(moments, policy, now, observed.zone))
    found = [
        *looking,
        *age_findings(observed.format, policy, there, facts.wal, now),
        *rejected_findings(observed.format, policy, there, now),
        *wal_findings(facts.wal),
        *copy_findings(policy, facts.copy),
        *duration_findings(policy, there),
        *(() if observed.format == "report" else shrunk_findings(policy, there)),
        *retention_findings(retained),
    ]
    return _judgement(found, there, retained)


def known(facts: SetFacts) -> bool:
    """Return whether there are facts, be they of a while ago."""
    return facts.observed_at is not None and facts.known


def _judgement(found: Sequence[Finding], there: Inventory | None = None, retained: Sequence[Kept] = ()) -> Judgement:
    worst_first = sorted(found, key=lambda one: -STATUSES.index(one.status))
    status = worst_first[0].status if worst_first else "pass"
    return Judgement(status, tuple(one.text for one in worst_first), there, retained)


def _looking(facts: SetFacts, now: float) -> Iterator[Finding]:
    """Say why the facts are not those of now."""
    if facts.error is not None:
        why = str(facts.error.shown)
        why = _UNREADABLE.get(facts.error.reason, why) if why == facts.error.reason else why
        yield Finding("warn", f"cannot be read: {why}{_last_seen(facts, now)}")
    elif facts.observed_at is None:
        yield NOT_YET
    elif now - facts.observed_at > _STALE_SECONDS:
        yield Finding(
            "warn", f"cannot be read to its end: too much lies there, or its place is slow{_last_seen(facts, now)}"
        )


def _last_seen(facts: SetFacts, now: float) -> str:
    return "" if facts.observed_at is None else f"; last read {span(now - facts.observed_at)} ago"


def _moments(observed: ObservedSet, there: Inventory) -> Sequence[float]:
    """Return when the good backups were made, or since when an archive allows to recover."""
    wal = observed.facts.wal
    if wal is None:
        return [backup.time for backup in there.good]
    return [] if wal.recoverable_from is None else [wal.recoverable_from]
