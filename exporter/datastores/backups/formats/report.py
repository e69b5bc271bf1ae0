"""Reports of jobs, such as tests of a restore: a JSON file that a job writes when it ends."""

from collections.abc import Mapping
from heapq import nlargest

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.clock import clock_problem
from exporter.datastores.backups.formats.report_text import MOST_BYTES, Report, parse_report
from exporter.datastores.backups.listing import listed
from exporter.datastores.backups.look import Found, Look, VerdictKey
from exporter.datastores.backups.places.place import Entry, GoneError
from exporter.logs import visible

_MOST_REPORTS = 100  # the newest ones


async def read(look: Look) -> Found:
    """Return what the newest reports say; each is read once, until it changes.

    One that is half written leaves what it said before: the job that writes it anew takes nothing back.
    """
    known: Mapping[VerdictKey, Report] = look.memory.progress if isinstance(look.memory.progress, dict) else {}
    before = {key.name: key for key in known}
    entries = nlargest(_MOST_REPORTS, (await listed(look)).entries, key=lambda entry: entry.modified)
    reports: dict[VerdictKey, Report] = {}
    for entry in entries:
        key = VerdictKey(*entry)
        try:
            said = known[key] if key in known and known[key].whole else await _report(look, entry)
        except GoneError:
            continue
        if _half_written(look, entry, said) and entry.name in before:
            key = before[entry.name]
            said = known[key]
        reports[key] = said
    look.memory.progress = reports
    return Found([_backup(look, Entry(*key), said) for key, said in reports.items()])


def _half_written(look: Look, entry: Entry, said: Report) -> bool:
    return not said.whole and look.may_grow(entry.modified)


async def _report(look: Look, entry: Entry) -> Report:
    if entry.bytes > MOST_BYTES:
        return parse_report(b" " * (MOST_BYTES + 1))
    return parse_report(await look.place.read(entry.name, 0, MOST_BYTES + 1))


def _backup(look: Look, entry: Entry, said: Report) -> Backup:
    """Judge a report by itself: its age and its duration are the policy's."""
    clock = clock_problem(said.finished, look.now)
    problem: Problem | None = None
    if said.fault:
        problem = Problem("format" if entry.bytes else "empty", said.fault)
    elif not said.ok:
        problem = Problem("failed", said.message or "the job says no more")
    else:
        problem = clock
    time = min(entry.modified, look.now) if said.fault or clock else said.finished
    half = _half_written(look, entry, said)
    return Backup(visible(entry.name), time, entry.bytes, None if half else problem, said.seconds, being_written=half)
