"""What is wrong with a set of backups, in words: one function for each thing that its policy or its facts tell."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.config.backup_policy import BackupPolicy
from exporter.datastores.backup_sets.backup import Copy, Rejection, WalArchive
from exporter.datastores.backup_sets.inventory import Inventory, Rejected
from exporter.datastores.backup_sets.retention import Kept
from exporter.logs import visible
from exporter.queries.health_rule import Status
from exporter.units import span

_NAMED = 5  # rejected backups
_CHARACTERS = 200
_LONGEST_DETAIL = 400  # characters: a report's message is shorter
_WORDS: dict[Rejection, str] = {
    "too_small": "too small",
    "too_large": "too large",
    "format": "wrong format",
    "checksum": "wrong checksum",
    "broken_chain": "broken chain",
    "clock": "wrong time",
}


class Finding(NamedTuple):
    """What is wrong, in words, and how bad that is; `pass` is for what is worth knowing and harms nothing."""

    status: Status
    text: str


def age_findings(
    kind: str, policy: BackupPolicy, there: Inventory, wal: WalArchive | None, now: float
) -> Iterator[Finding]:
    """Judge the age of the newest good backup, of the job's last success, of the last moment that can be recovered."""
    newest, expected = there.newest, f"expected every {span(policy.every)}"
    if kind == "wal":
        moment = wal.recoverable_until if wal else None
        none = "nothing can be recovered: " + (
            "no base backup goes with it" if wal and wal.segments else "no segment is there"
        )
    else:
        moment = newest.time if newest else None
        none = "the job has not succeeded" if kind == "report" else "no good backup"
    if moment is None and there.being_written and not there.rejected:
        yield Finding("unknown", "the first one is being written")
        return
    if moment is None:
        yield Finding("fail", none)
        return
    age = now - moment
    if age <= policy.warn_seconds:
        return
    status: Status = "fail" if age > policy.fail_seconds else "warn"
    if kind == "wal":  # never a failure: the place cannot tell an archive that lacks something from an idle server
        yield Finding("warn", f"recoverable until {span(age)} ago, {expected}, unless nothing was written since")
    elif kind == "report":
        yield Finding(status, f"last success {span(age)} ago, {expected}")
    elif newest:
        yield Finding(status, f"{shown(newest.name)}: the newest good one is {span(age)} old, {expected}")


def rejected_findings(kind: str, policy: BackupPolicy, there: Inventory, now: float) -> Iterator[Finding]:
    """Name what is rejected: the newest as it weighs, older ones because somebody may want to remove them."""
    last, newest = there.newest_rejected, there.newest
    rest = there.rejected
    if last is not None:
        rest = rest[1:]
        failed = kind == "report" and last.problem.reason == "failed"
        none_in_time = newest is None or now - newest.time > policy.warn_seconds
        yield Finding("fail" if failed or none_in_time else "warn", _rejected(last))
    if kind == "report":
        return
    for one in rest[:_NAMED]:
        yield Finding("pass", _rejected(one))
    if len(rest) > _NAMED:
        yield Finding("pass", f"and {len(rest) - _NAMED} more are rejected")


def wal_findings(wal: WalArchive | None) -> Iterator[Finding]:
    if wal is None or not wal.gaps:
        return
    for name in wal.missing:
        yield Finding("fail", f"segment {shown(name)} is missing")
    if wal.gaps > len(wal.missing):
        yield Finding("fail", f"{'and ' if wal.missing else ''}{wal.gaps - len(wal.missing)} more segments are missing")


def copy_findings(policy: BackupPolicy, copy: Copy | None) -> Iterator[Finding]:
    if copy is None:
        return
    if copy.behind is not None and copy.behind > policy.warn_seconds:
        yield Finding("warn", f"the copy is {span(copy.behind)} behind its original")
    if copy.missing != 0 or copy.differing:
        named = copy.findings or ("not compared with its original",)
        status: Status = "unknown" if copy.missing is None else "warn"  # an original that is down makes no copy bad
        yield from (Finding(status, text) for text in named)


def duration_findings(policy: BackupPolicy, there: Inventory) -> Iterator[Finding]:
    newest, limit = there.newest, policy.duration
    if newest and newest.seconds is not None and limit is not None and limit < newest.seconds < math.inf:
        took, allowed = span(newest.seconds), span(limit)
        if took == allowed:
            took, allowed = f"{newest.seconds:g} s", f"{limit:g} s"
        yield Finding("warn", f"{shown(newest.name)}: took {took}, {allowed} allowed")


def shrunk_findings(policy: BackupPolicy, there: Inventory) -> Iterator[Finding]:
    newest, usual = there.newest, there.median_bytes
    if newest and usual is not None and newest.bytes < policy.size.shrink * usual:
        yield Finding("warn", f"{shown(newest.name)}: shrunk, {newest.bytes:.0f} bytes where {usual:.0f} are usual")


def retention_findings(retained: Sequence[Kept]) -> Iterator[Finding]:
    return (Finding("warn", text) for one in retained for text in one.missing)


def shown(name: str) -> str:
    """Return a name as findings show it: it may be 4 KiB long and hold line breaks."""
    text = visible(name)
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"


def _rejected(one: Rejected) -> str:
    words = _WORDS.get(one.problem.reason, one.problem.reason)
    detail = visible(one.problem.detail[:_LONGEST_DETAIL])
    return ", ".join(part for part in (f"{shown(one.backup.name)}: {words}", detail) if part)
