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
from exporter.logs import visible
from exporter.queries.health_rule import STATUSES, Status
from exporter.units import span

NOT_YET = Finding("unknown", "not looked at yet")
# Looks that do not get to their end; the longest pace between two of them is a quarter of an hour.
_STALE_SECONDS = 1800.0
_LONGEST_ERROR = 500  # characters
_UNREADABLE: dict[Reason, str] = {  # where the error has no words of its own
    "connect": "its place does not answer",
    "timeout": "its place answers too late",
    "auth": "its place refuses the login",
    "privilege": "the exporter may not read it",
    "decode": "what lies there is not what its format says",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The check of a set; findings: the worst first. inventory: None where nothing is known."""

    status: Status
    findings: tuple[str, ...]
    inventory: Inventory | None = None


def judge(observed: ObservedSet) -> Judgement:
    """Judge a set as it was when it was looked at: that time passes without a look makes no backup bad.

    It costs a sort of the backups, and a little for each period that is kept.
    """
    facts, policy, kind, now = observed.facts, observed.policy, observed.format, _judged_at(observed)
    looking, there = list(_looking(facts, observed.now)), inventory_of(observed)
    if there is None:
        return _judgement(looking)
    found = [
        *looking,
        *rejected_findings(kind, policy, there, now),
        *age_findings(kind, policy, there, facts.wal, now),
        *wal_findings(facts.wal),
        *copy_findings(policy, facts.copy),
        *duration_findings(policy, there),
        *(() if kind == "report" else shrunk_findings(policy, there)),
        *retention_findings(_kept(observed, there)),
    ]
    return _judgement(found, there)


def inventory_of(observed: ObservedSet) -> Inventory | None:
    """Return what there is of a set; None where nothing is known."""
    if not known(observed.facts):
        return None
    return inventory(observed.facts.backups, observed.policy.size, _judged_at(observed))


def kept_of(observed: ObservedSet) -> Sequence[Kept]:
    """Return what is kept of a set, by tier; nothing where nothing is known, or without `keep`."""
    there = None if observed.policy.keep is None else inventory_of(observed)
    return [] if there is None else _kept(observed, there)


def known(facts: SetFacts) -> bool:
    """Return whether there are facts, be they of a while ago."""
    return facts.observed_at is not None and facts.known


def _judged_at(observed: ObservedSet) -> float:
    """Return when the facts were those of the moment: looks are never far apart, or the finding says so."""
    return observed.now if observed.facts.observed_at is None else observed.facts.observed_at


def _kept(observed: ObservedSet, there: Inventory) -> Sequence[Kept]:
    return kept(History(_moments(observed, there), observed.policy, _judged_at(observed), observed.zone))


def _judgement(found: Sequence[Finding], there: Inventory | None = None) -> Judgement:
    worst_first = sorted(found, key=lambda one: -STATUSES.index(one.status))
    status = worst_first[0].status if worst_first else "pass"
    return Judgement(status, tuple(one.text for one in worst_first), there)


def _looking(facts: SetFacts, now: float) -> Iterator[Finding]:
    """Say why the facts are not those of now."""
    if facts.error is not None:
        why = visible(facts.error.shown[:_LONGEST_ERROR])
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
