"""Sets in which each file is one backup: which of them are read, and what is believed until then."""

import time
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backups.formats.sample import HEAD, Sample, TooManyReadsError, sample_of
from exporter.datastores.backups.look import Found, Look, UnfinishedError, Verdict, VerdictKey
from exporter.datastores.backups.places.place import Entry, GoneError
from exporter.datastores.backups.times import made
from exporter.datastores.off_loop import off_loop
from exporter.errors import QueryError
from exporter.logs import visible

NEW_FILES = 20  # that are read at a look
CANDIDATE_BYTES = 500  # of a response, which would take as long as one of them

Verify = Callable[[Look, Sample], Awaitable[Verdict]]

UNREADABLE = Verdict(Problem("unreadable", "the exporter may not read it"), refused=True)
UNVERIFIED = Verdict(refused=True)  # by policy: it counts by name, time and size
GONE = Verdict(Problem("unreadable", "gone since it was listed"))


class Candidate:
    """A file or folder that may be a backup, as it was listed, and how to tell whether it is one."""

    __slots__ = ("entry", "key", "verify")

    def __init__(self, entry: Entry, verify: Callable[[], Awaitable[Verdict]]) -> None:
        self.entry = entry
        self.key = VerdictKey(*entry)
        self.verify = verify


def candidate_of(look: Look, entry: Entry, verify: Verify) -> Candidate:
    """Return a file as a candidate: sampled, then judged by `verify`; an empty one is rejected unread."""

    async def judge() -> Verdict:
        if entry.bytes == 0:
            return Verdict(Problem("empty", "0 bytes"))
        sample = await sample_of(look.place, entry)
        if len(sample.head) < min(HEAD, entry.bytes):  # it was cut since, or what answered is not the file
            return Verdict(Problem("truncated", f"only {len(sample.head)} of {entry.bytes} bytes can be read"))
        return await verify(look, sample)

    return Candidate(entry, judge)


async def backups_of(look: Look, candidates: Sequence[Candidate]) -> Found:
    """Judge the newest of the files not read yet, NEW_FILES at most; the rest follows at later looks.

    Until it is read, a file counts by its name, time and size, but only behind a newer one that was read and found
    good: where there is none yet, the look is unfinished. So the newest good backup was always read.
    """
    cost = len(candidates) * CANDIDATE_BYTES
    newest_first, young = await off_loop(cost, _ordered, look, candidates)
    written = await _unfinished(look, newest_first, young)
    await _judge_new(look, newest_first, written)
    return Found(await off_loop(cost, _backups, look, candidates, written))


def _ordered(look: Look, candidates: Sequence[Candidate]) -> tuple[Sequence[Candidate], set[VerdictKey]]:
    """Return the newest first, and which are young; forget what is known of others."""
    verdicts = look.memory.verdicts
    for key in verdicts.keys() - {one.key for one in candidates}:
        del verdicts[key]
    return sorted(candidates, key=lambda one: _time(look, one), reverse=True), _young(look, candidates)


def _backups(look: Look, candidates: Sequence[Candidate], written: AbstractSet[VerdictKey]) -> Sequence[Backup]:
    return [_backup(look, one, being_written=one.key in written) for one in candidates if not _gone(look, one)]


async def _judge_new(look: Look, newest_first: Sequence[Candidate], written: AbstractSet[VerdictKey]) -> None:
    verdicts = look.memory.verdicts
    new = await off_loop(len(newest_first) * CANDIDATE_BYTES, _new, look, newest_first, written)
    for number, one in enumerate(new):
        if number and time.monotonic() >= look.until:
            break
        verdicts[one.key] = await _judged(look, one)
    for one in newest_first:
        if one.key in written:
            continue
        if one.key not in verdicts:
            raise UnfinishedError
        if verdicts[one.key].problem is None:
            return


def _new(look: Look, newest_first: Sequence[Candidate], written: AbstractSet[VerdictKey]) -> Sequence[Candidate]:
    """Return what is to be read at this look."""
    verdicts = look.memory.verdicts
    ready = [one for one in newest_first if one.key not in written]
    pending = [one for one in ready if one.key not in verdicts]
    again = [one for one in ready if one.key in verdicts and verdicts[one.key].refused]
    return [*pending, *again][:NEW_FILES]


async def _judged(look: Look, one: Candidate) -> Verdict:
    try:
        return await one.verify()
    except GoneError:
        return GONE
    except TooManyReadsError:
        return Verdict()
    except QueryError as error:
        if error.reason != "privilege":
            raise
        counts = look.place.reads_all_or_none and not look.chosen.encrypted
        return UNVERIFIED if counts else UNREADABLE


def _gone(look: Look, one: Candidate) -> bool:
    return look.memory.verdicts.get(one.key) == GONE


async def _unfinished(
    look: Look, newest_first: Sequence[Candidate], young: AbstractSet[VerdictKey]
) -> AbstractSet[VerdictKey]:
    """Return those that may be being written: young ones whose end does not prove the contrary."""
    verdicts = look.memory.verdicts
    if not young:
        return young
    for one in [one for one in newest_first if one.key in young and one.key not in verdicts][:NEW_FILES]:
        verdict = await _judged(look, one)
        if verdict.whole and verdict.problem is None:
            verdicts[one.key] = verdict
    return young - verdicts.keys()


def _young(look: Look, candidates: Sequence[Candidate]) -> set[VerdictKey]:
    """Return the young files, and those that grew since the last look; none of a place that shows whole ones only."""
    if look.place.shows_whole:
        return set()
    before = look.memory.progress if isinstance(look.memory.progress, dict) else {}
    young = {one.key for one in candidates if look.may_grow(one.entry.modified)}
    grew = {one.key for one in candidates if before.get(one.entry.name, one.entry.bytes) < one.entry.bytes}
    look.memory.progress = {one.entry.name: one.entry.bytes for one in candidates}
    return young | grew


def _time(look: Look, one: Candidate) -> float:
    return made(one.entry, look.now, look.zone).time


def _backup(look: Look, one: Candidate, *, being_written: bool) -> Backup:
    verdict = look.memory.verdicts.get(one.key, Verdict())
    time_made, clock = made(one.entry, look.now, look.zone, verdict.time)
    problem = None if being_written else verdict.problem or clock
    return Backup(visible(one.entry.name), time_made, one.entry.bytes, problem, being_written=being_written)
