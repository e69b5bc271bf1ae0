"""Archives of PostgreSQL's write-ahead log: the segments there are, and whether they are without a hole."""

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from exporter.datastores.backup_sets.backup import Backup, WalArchive
from exporter.datastores.backup_sets.clock import clock_problem
from exporter.datastores.backups.look import Found, Look
from exporter.datastores.backups.places.place import GoneError, Place
from exporter.datastores.backups.selection import Selection
from exporter.datastores.backups.wal.listing import Progress, list_archive
from exporter.datastores.backups.wal.names import Switch, switches
from exporter.datastores.backups.wal.segments import Part, joined
from exporter.datastores.backups.wal.window import judged, lineage_of, lost, starts_on
from exporter.datastores.off_loop import off_loop
from exporter.errors import QueryError

# An expiry removes a base backup, then its segments; the set of base backups may still tell of it for a while.
_EXPIRY_SECONDS = 400.0
_HISTORY_BYTES = 64 * 1024
_MOST_HISTORIES = 16
_RUN_BYTES = 256


async def read(look: Look) -> Found:
    """Read an archive: that of any tool whose files begin with the names of segments.

    A folder may hold the archives of several versions or servers, as pgBackRest's after an upgrade: the one that was
    written to last counts.
    """
    progress = look.memory.progress
    if not isinstance(progress, Progress):
        progress = look.memory.progress = Progress()
    await list_archive(look, progress, Selection(look.chosen.files))
    archives = {name for one in progress.stretches for name in one.parts}
    parts = {name: [one.parts[name] for one in progress.stretches if name in one.parts] for name in archives}
    newest = max(parts, key=lambda name: (max(part.newest for part in parts[name]), name), default=None)
    if newest is None:
        return Found(wal=WalArchive(0, 0, 0))
    runs = sum(len(found) for part in parts[newest] for found in part.runs.values())
    part = await off_loop(runs * _RUN_BYTES, joined, parts[newest])
    if not part.runs:
        return Found(wal=WalArchive(0, part.bytes, 0))
    ancestors = await _ancestors(look.place, part, progress)
    bases = _bases(look, newest)
    facts = await off_loop(runs * _RUN_BYTES, _facts, part, ancestors, bases, look, progress)
    _demand_past(facts, look.now)
    return Found(wal=facts)


def _demand_past(facts: WalArchive, now: float) -> None:
    """Raise QueryError where the last segment was archived in the future: then nobody knows how old it is."""
    problem = None if facts.recoverable_until is None else clock_problem(facts.recoverable_until, now)
    if problem is not None:
        raise QueryError("decode", f"the newest segment's time of modification is wrong: {problem.detail}")


def _bases(look: Look, archive: str) -> Sequence[Backup] | None:
    """Return the base backups of an archive; None where it is not known of any where its restore begins."""
    if look.bases is None or (look.bases and not any(base.start_segment for base in look.bases)):
        return None
    name = archive.rpartition("/")[2]
    parts = [(base, *base.start_segment.rpartition("/")) for base in look.bases]
    return [replace(base, start_segment=segment) for base, own, _, segment in parts if own in {"", name}]


def _facts(
    part: Part, ancestors: Sequence[Switch], bases: Sequence[Backup] | None, look: Look, progress: Progress
) -> WalArchive:
    lineage = lineage_of(part, ancestors, bases or (), look.now)
    reach = look.chosen.keep.reach if look.chosen.keep else None
    wanted = None if reach is None else look.now - reach
    if bases is None:
        return judged(part, lineage, None, wanted)
    starts = starts_on(lineage, bases)
    names = {start.name for start in lost(lineage, starts)}
    progress.lost = {name: progress.lost.get(name, look.now) for name in names}
    leaving = {name for name, since in progress.lost.items() if look.now - since < _EXPIRY_SECONDS}
    staying = [start for start in starts if start.name not in leaving]
    return judged(part, lineage, staying or starts, wanted)


async def _ancestors(place: Place, part: Part, progress: Progress) -> list[Switch]:
    """Return what the history of the newest timeline tells; nothing where there is none that can be read."""
    name = part.histories.get(max(part.runs))
    if name is None:
        return []
    if name not in progress.histories:
        if len(progress.histories) >= _MOST_HISTORIES:
            progress.histories.clear()
        progress.histories[name] = switches(await _history(place, name))
    return progress.histories[name]


async def _history(place: Place, name: str) -> str:
    """Read a history; an encrypted one, or one that may not be read, is none."""
    try:
        content = await place.read(name, 0, _HISTORY_BYTES)
    except GoneError:
        return ""
    except QueryError as error:
        if error.reason != "privilege":
            raise
        return ""
    if name.endswith(".gz"):
        with suppress(zlib.error):
            content = zlib.decompressobj(wbits=31).decompress(content, _HISTORY_BYTES)
    return content.decode(errors="replace")
