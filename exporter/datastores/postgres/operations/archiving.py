"""For how long what was committed has been in no archive: what would be lost with the server.

A position in the WAL does not tell: an idle server goes on writing what nobody misses, such as checkpoints, and another
one may fill no segment for days. What is missed are transactions, whose ends a snapshot shows.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from exporter.datastores.postgres.session import OperationSession, Record
from exporter.queries.operation import Operation, Params
from exporter.queries.query import Row

# A snapshot has a new text when a transaction that wrote has ended, and only then. What a replica has received but not
# replayed is left out: nobody can tell whether there are transactions in it.
_POSITION = """
WITH server AS (
    SELECT
        current_setting('archive_mode') AS mode,
        pg_is_in_recovery() AS is_replica,
        pg_current_snapshot() AS snapshot,
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END AS replayed
)
SELECT
    server.mode,
    server.is_replica,
    coalesce(nullif(current_setting('archive_command'), ''), nullif(current_setting('archive_library', true), ''))
        IS NOT NULL AS has_command,
    extract(epoch FROM clock_timestamp())::float8 AS now,
    server.snapshot::text AS snapshot,
    CASE WHEN server.is_replica THEN server.replayed ELSE pg_current_wal_insert_lsn() END - '0/0'::pg_lsn AS position,
    CASE WHEN server.is_replica THEN server.replayed ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn AS written,
    pg_size_bytes(current_setting('wal_segment_size')) AS segment_bytes,
    archiver.last_archived_wal AS archived,
    extract(epoch FROM coalesce(
        archiver.last_archived_time, greatest(archiver.stats_reset, pg_postmaster_start_time())
    ))::float8 AS archived_at,
    has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') AS may_list,
    server.snapshot::text = concat_ws(':', pg_snapshot_xmax(server.snapshot), pg_snapshot_xmax(server.snapshot), '')
        AND pg_snapshot_xmax(server.snapshot)::xid
            = coalesce(nullif(last.oldest_active_xid, '0'), split_part(last.next_xid, ':', 2)::xid) AS unchanged,
    last.redo_lsn - '0/0'::pg_lsn AS unchanged_since
FROM server, pg_stat_archiver AS archiver, pg_control_checkpoint() AS last
"""
_WAITING = """
SELECT min(left(name, 24)) AS first, extract(epoch FROM min(modification))::float8 AS since
FROM pg_ls_archive_statusdir()
WHERE name ~ '^[0-9A-F]{24}\\.ready$'
"""
_SEGMENT = re.compile(r"[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})")
_MOST = 1000  # spans to remember
# A segment's header of 40 bytes, and 56 of the running transactions, which are written 15 s after the last change.
_BOOKKEEPING = 96
# Checkpoints write as much as a small transaction, and reading pages for the first time more: no reason to worry.
_FEW = 1024
_UNSEEN = 256 * 1024


class Look(NamedTuple):
    """What one look saw; positions in bytes, times in Unix time of the server.

    snapshot: differs from the last look's when a transaction has ended since. archived: where the archive ends, None
    where that is not known. archived_at: when, at the earliest, the first transaction after that ended, as far as is
    known. unchanged: the position since which none has ended, where the last checkpoint tells.
    """

    now: float
    position: float
    snapshot: str
    archived: float | None
    archived_at: float
    unchanged: float | None = None


class _Span(NamedTuple):
    """Where transactions ended: after a time, after the position `begin`, before the position `end`.

    doubtful: so many bytes before the end may hold none of them.
    """

    since: float
    begin: float
    end: float
    doubtful: float = _FEW


class Unarchived:
    """Remember when what is not archived was committed, as exactly as looks were frequent."""

    def __init__(self) -> None:
        self._last: Look | None = None
        self._spans: list[_Span] = []

    @property
    def is_new(self) -> bool:
        return self._last is None

    def update(self, look: Look) -> float | None:
        """Return for how many seconds at most the oldest commit has waited, 0 where none does; None if unknown."""
        last = self._last
        if last is not None and look.position < last.position:  # another server, or an older state of this one
            last, self._spans = None, []
        archived = look.archived if look.archived is not None or last is None else last.archived
        if archived is None:
            return None
        self._last = look._replace(archived=archived)
        if last is None:
            end = look.position if look.unchanged is None else look.unchanged
            self._spans.append(_Span(look.archived_at, 0.0, end, _UNSEEN))
        elif look.snapshot != last.snapshot:
            self._spans.append(_Span(last.now, last.position, look.position))
        self._spans = _thinned([span for span in self._spans if span.end > archived + _BOOKKEEPING])
        known = (span for span in self._spans if span.begin >= archived or span.end > archived + span.doubtful)
        oldest = next(known, None)
        if oldest is None:  # what began before the archive's end may have ended before it, too
            return None if self._spans else 0.0
        return max(0.0, look.now - oldest.since)


def _thinned(spans: list[_Span]) -> list[_Span]:
    """Make one of every two spans where there are too many."""
    if len(spans) <= _MOST:
        return spans
    pairs = zip(spans[::2], (*spans[1::2], spans[-1]), strict=False)
    return [first._replace(end=second.end) for first, second in pairs]


async def _archiving(session: OperationSession, _params: Params, unarchived: Unarchived) -> Sequence[Row]:
    """Return one row: enabled and unarchived, None in a replica that leaves archiving to its primary."""
    [server] = await session.rows(_POSITION)
    if server["is_replica"] and server["mode"] != "always":
        return [{"enabled": None, "unarchived": None}]
    if server["mode"] == "off":
        return [{"enabled": 0.0, "unarchived": None}]
    look = await _look(session, server, is_first=unarchived.is_new)
    return [{"enabled": float(server["has_command"]), "unarchived": unarchived.update(look)}]


async def _look(session: OperationSession, server: Record, *, is_first: bool) -> Look:
    archived, archived_at = _end_of(server["archived"], server["segment_bytes"]), server["archived_at"]
    if (archived is None or is_first) and server["may_list"]:
        [waiting] = await session.rows(_WAITING)
        if archived is None:
            archived = _begin_of_waiting(waiting["first"], server)
        archived_at = min(archived_at, waiting["since"] or archived_at)
    return Look(
        now=server["now"],
        position=float(server["position"]),
        snapshot=server["snapshot"],
        archived=archived,
        archived_at=archived_at,
        unchanged=float(server["unchanged_since"]) if server["unchanged"] else None,
    )


def _begin_of_waiting(first: str | None, server: Record) -> float:
    """Return where the first segment that waits begins, else where the open one does: all others are archived."""
    size = server["segment_bytes"]
    end = _end_of(first, size)
    return end - size if end is not None else float(server["written"] // size * size)


def _end_of(segment: str | None, size: int) -> float | None:
    """Return where a segment ends; None of what is none, as a backup's label and a timeline's history."""
    match = _SEGMENT.fullmatch(segment or "")
    return (int(match[1], 16) << 32) + (int(match[2], 16) + 1) * float(size) if match else None


ARCHIVING = Operation(_archiving, state=Unarchived)
