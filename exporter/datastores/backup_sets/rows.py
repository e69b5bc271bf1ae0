"""The rows that the facts of sets become; the columns are those of queries/backups/*.yaml. None is no sample."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from exporter.datastores.backup_sets.backup import Rejection
from exporter.datastores.backup_sets.inventory import Inventory
from exporter.datastores.backup_sets.judgement import inventory_of, judge, kept_of, known
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.queries.query import Row

_REASONS: tuple[Rejection, ...] = get_args(Rejection)
_OF_FACTS = ("backups", "bytes", "newest", "newest_bytes", "newest_seconds", "median_bytes", "shrink", "oldest")


def set_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    """Return a row for each set, whatever is known of it, with the status and the findings of its check."""
    return [_set_row(one) for one in sets]


def format_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    return [{**_names(one), "format": one.format} for one in sets]


def rejected_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    """Return a row for each reason, of sets of which something is known; an archive of WAL rejects nothing."""
    return [row for one in sets if one.format != "wal" for row in _rejected_rows(one)]


def retention_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    """Return a row for each tier that is kept; that of a duration is the tier `reach`, of one period."""
    return [
        {**_names(one), "tier": kept.tier, "expected": float(kept.expected), "retained": float(kept.retained)}
        for one in sets
        for kept in kept_of(one)
    ]


def wal_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    return [
        {
            **_names(one),
            "segments": float(wal.segments),
            "gaps": float(wal.gaps),
            "recoverable_from": wal.recoverable_from,
            "recoverable_until": wal.recoverable_until,
        }
        for one in sets
        if known(one.facts) and (wal := one.facts.wal) is not None
    ]


def copy_rows(sets: Sequence[ObservedSet]) -> Sequence[Row]:
    """Return a row for each copy; what was not compared has no numbers."""
    return [
        {
            **_names(one),
            "behind": copy.behind,
            "missing": copy.missing,
            "differing": None if copy.missing is None else copy.differing,
        }
        for one in sets
        if known(one.facts) and (copy := one.facts.copy) is not None
    ]


def _names(one: ObservedSet) -> dict[str, object]:
    return {"check": one.check, "of": one.of}


def _set_row(one: ObservedSet) -> Row:
    judged, facts, policy = judge(one), one.facts, one.policy
    looked = facts.observed_at is not None or facts.error is not None
    return {
        **_names(one),
        "expected": 1.0,
        "interval": policy.warn_seconds,
        "duration_limit": policy.duration,
        "readable": float(facts.error is None) if looked else None,
        "observed_at": facts.observed_at,
        "status": judged.status,
        "findings": judged.findings,
        **dict.fromkeys(_OF_FACTS),
        **(_numbers(one, judged.inventory) if judged.inventory else {}),
    }


def _numbers(one: ObservedSet, there: Inventory) -> Row:
    """Return what is known of the backups: of an archive the last moment that can be recovered, of reports no size."""
    newest, oldest, wal = there.newest, there.oldest, one.facts.wal
    if one.format == "wal":
        return {"bytes": wal.bytes, "newest": wal.recoverable_until} if wal else {}
    counted: Row = {
        "backups": float(len(there.good)),
        "newest": newest.time if newest else None,
        "newest_seconds": newest.seconds if newest else None,
    }
    if one.format == "report":
        return counted
    return {
        **counted,
        "bytes": there.bytes,
        "newest_bytes": newest.bytes if newest else None,
        "median_bytes": there.median_bytes,
        "shrink": one.policy.size.shrink,
        "oldest": oldest.time if oldest else None,
    }


def _rejected_rows(one: ObservedSet) -> Iterator[Row]:
    there = inventory_of(one)
    if there is None:
        return
    counted = Counter(rejected.problem.reason for rejected in there.rejected)
    last = there.newest_rejected
    for reason in _REASONS:
        is_last = last is not None and last.problem.reason == reason
        row = {"reason": reason, "rejected": float(counted[reason]), "newest_rejected": float(is_last)}
        yield {**_names(one), **row}
