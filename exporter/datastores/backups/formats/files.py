"""Sets in which each file is one backup: which of them are read, and what is believed until then."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from exporter.datastores.backup_sets.backup import Backup, Problem
from exporter.datastores.backup_sets.clock import AHEAD_SECONDS
from exporter.datastores.backups.formats.sample import Sample, TooManyReadsError, sample_of
from exporter.datastores.backups.look import Found, Look, UnfinishedError, Verdict, VerdictKey
from exporter.datastores.backups.places.place import Entry, GoneError
from exporter.datastores.backups.times import made
from exporter.errors import QueryError
from exporter.logs import visible

NEW_FILES = 20  # that are read at a look
QUIET_SECONDS = 120.0  # after the last modification, until which a file is being written

Verify = Callable[[Look, Sample], Awaitable[Verdict]]

UNREADABLE = Problem("unreadable", "the exporter may not read it")
UNVERIFIED = Verdict()  # by policy: it counts by name, time and size
GONE = Verdict(Problem("unreadable", "gone since it was listed"))


class Item:
    """A backup to be: its name, size and modification, and how to tell whether it is good."""

    __slots__ = ("entry", "key", "verify")

    def __init__(self, entry: Entry, verify: Callable[[], Awaitable[Verdict]]) -> None:
        self.entry = entry
        self.key = VerdictKey(*entry)
        self.verify = verify


def item_of(look: Look, entry: Entry, verify: Verify) -> Item:
    """Return a file as an item: sampled, then judged by `verify`; an empty one is not even read."""

    async def judge() -> Verdict:
        if entry.bytes == 0:
            return Verdict(Problem("empty", "0 bytes"))
        return await verify(look, await sample_of(look.place, entry))

    return Item(entry, judge)


async def backups_of(look: Look, items: Sequence[Item]) -> Found:
    """Judge the newest of the files not read yet, NEW_FILES at most; the rest follows at later looks.

    Until it is read, a file counts by its name, time and size, but only behind a newer one that was read and found
    good: where there is none yet, the look is unfinished. So the newest good backup was always read.
    """
    verdicts = look.memory.verdicts
    for key in verdicts.keys() - {item.key for item in items}:
        del verdicts[key]
    newest_first = sorted(items, key=lambda item: _time(look, item), reverse=True)
    written = await _unfinished(look, newest_first)
    await _judge_new(look, [item for item in newest_first if item.key not in written])
    return Found([_backup(look, item, being_written=item.key in written) for item in items if not _gone(look, item)])


async def _judge_new(look: Look, ready: Sequence[Item]) -> None:
    verdicts = look.memory.verdicts
    pending = [item for item in ready if item.key not in verdicts]
    again = [item for item in ready if item.key in verdicts and _was_refused(verdicts[item.key])]
    for number, item in enumerate([*pending, *again][:NEW_FILES]):
        if number and time.monotonic() >= look.until:
            break
        verdicts[item.key] = await _judged(look, item)
    first_unread = next((item for item in ready if item.key not in verdicts), None)
    if first_unread is not None and not _has_good(look, ready[: ready.index(first_unread)]):
        raise UnfinishedError


async def _judged(look: Look, item: Item) -> Verdict:
    try:
        return await item.verify()
    except GoneError:
        return GONE
    except TooManyReadsError:
        return Verdict()
    except QueryError as error:
        if error.reason != "privilege":
            raise
        counts = look.place.reads_all_or_none and not look.chosen.encrypted
        return UNVERIFIED if counts else Verdict(UNREADABLE)


def _was_refused(verdict: Verdict) -> bool:
    return verdict is UNVERIFIED or verdict.problem == UNREADABLE


def _has_good(look: Look, items: Iterable[Item]) -> bool:
    return any(look.memory.verdicts[item.key].problem is None for item in items)


def _gone(look: Look, item: Item) -> bool:
    return look.memory.verdicts.get(item.key) == GONE


async def _unfinished(look: Look, newest_first: Sequence[Item]) -> set[VerdictKey]:
    """Return those that may be being written: young ones whose end does not prove the contrary."""
    young, verdicts = _young(look, newest_first), look.memory.verdicts
    for item in [item for item in newest_first if item.key in young and item.key not in verdicts][:NEW_FILES]:
        verdict = await _judged(look, item)
        if verdict.whole and verdict.problem is None:
            verdicts[item.key] = verdict
    return young - verdicts.keys()


def _young(look: Look, items: Sequence[Item]) -> set[VerdictKey]:
    """Return the young files, and those that grew since the last look; none of a place that shows whole ones only."""
    if look.place.shows_whole:
        return set()
    before = look.memory.progress if isinstance(look.memory.progress, dict) else {}
    young = {item.key for item in items if -AHEAD_SECONDS < look.now - item.entry.modified < QUIET_SECONDS}
    grew = {item.key for item in items if before.get(item.entry.name, item.entry.bytes) < item.entry.bytes}
    look.memory.progress = {item.entry.name: item.entry.bytes for item in items}
    return young | grew


def _time(look: Look, item: Item) -> float:
    return made(item.entry, look.now, look.zone).time


def _backup(look: Look, item: Item, *, being_written: bool) -> Backup:
    verdict = look.memory.verdicts.get(item.key, Verdict())
    time_made, clock = made(item.entry, look.now, look.zone, verdict.time)
    problem = None if being_written else verdict.problem or clock
    return Backup(visible(item.entry.name), time_made, item.entry.bytes, problem, being_written=being_written)
