"""What the facts of a set mean under its policy: each thing that can be wrong with it, alone and together."""

from typing import Any

import pytest

from exporter.datastores.backup_sets.backup import Backup, Copy, WalArchive
from exporter.datastores.backup_sets.judgement import judge
from exporter.errors import QueryError, Reason
from exporter.queries.health_rule import Status
from tests.support.observed_sets import DAY, HOUR, NOW, backup, bad, daily, observed, policy

Verdict = tuple[Status, tuple[str, ...]]


def verdict(*args: Any, **facts: Any) -> Verdict:
    judged = judge(observed(*args, **facts))
    return judged.status, judged.findings


def test_good_backups_pass() -> None:
    assert verdict(daily()) == ("pass", ())


@pytest.mark.parametrize(
    ("hours", "status"), [(26.39, "pass"), (26.41, "warn"), (50.39, "warn"), (50.41, "fail"), (-0.9, "pass")]
)
def test_age_is_judged_by_interval_and_grace(hours: float, status: Status) -> None:
    """One missed is a warning, two a failure; the grace of a day is 2 h 24 min."""
    found, findings = verdict([backup(hours * HOUR, name="apex.dump"), backup(70 * HOUR)])

    assert found == status
    assert len(findings) == (status != "pass")
    assert all(text.startswith("apex.dump: the newest good one is ") for text in findings)


def test_age_is_said_in_words() -> None:
    assert verdict([backup(30 * HOUR, name="apex.dump")]) == (
        "warn",
        ("apex.dump: the newest good one is 1 d 6 h old, expected every 1 d",),
    )


def test_no_backup_fails() -> None:
    assert verdict() == ("fail", ("no good backup",))


def test_backup_that_is_being_written_is_neither_good_nor_bad() -> None:
    """Not even an empty one of yesterday, which a job has open."""
    assert verdict([*daily(), backup(0, 0.0, being_written=True)]) == ("pass", ())
    assert verdict([backup(0, being_written=True)]) == ("unknown", ("the first one is being written",))


def test_newest_that_is_rejected_warns_until_the_last_good_one_is_too_old() -> None:
    cut = bad(HOUR, name="apex_full_20261130.dump", detail="data at 4401254 of 2418378 bytes")
    words = "apex_full_20261130.dump: truncated, data at 4401254 of 2418378 bytes"

    assert verdict([*daily(), cut]) == ("warn", (words,))
    assert verdict([backup(30 * HOUR, name="old"), cut]) == (
        "fail",
        (words, "old: the newest good one is 1 d 6 h old, expected every 1 d"),
    )
    assert verdict([cut]) == ("fail", (words, "no good backup"))


def test_older_rejected_ones_are_named_and_change_nothing() -> None:
    """Five of them; what they hold is of no use."""
    found, findings = verdict([*daily(), *[bad((20 + number) * HOUR, "empty", "") for number in range(7)]])

    assert found == "pass"
    assert findings == (*[f"dump_{20 + number}h: empty" for number in range(5)], "and 2 more are rejected")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (999.0, "x: too small, 999 bytes, expected 1000 at least"),
        (1000.0, None),
        (2e9, None),
        (2e9 + 1, "x: too large, 2000000001 bytes, expected 2000000000 at most"),
    ],
)
def test_size_outside_its_bounds_is_rejected(size: float, words: str | None) -> None:
    wanted = policy(size={"min": "1KB", "max": "2GB", "shrink": 0.0001})

    assert verdict([backup(HOUR, size, "x"), backup(DAY, 2e6)], policy=wanted) == (
        ("warn", (words,)) if words else ("pass", ())
    )


def test_time_of_a_clock_that_was_never_set_is_rejected() -> None:
    """Else every period since 1970 would be expected to have a backup."""
    assert verdict([*daily(), Backup("x", 0.0, 1.0)], policy=policy(keep={"daily": 30})) == (
        "pass",
        ("x: wrong time, its time lies before 2000",),
    )


@pytest.mark.parametrize(
    ("time", "why"),
    [
        (NOW + 3601, "dated 1 h in the future"),
        (float("nan"), "its time is no number"),
        (float("inf"), "its time is no number"),
    ],
)
def test_time_in_the_future_is_rejected(time: float, why: str) -> None:
    """Whatever it came from; else the newest backup would be that one for years."""
    stray = Backup("x", time, 1000.0)

    assert verdict([*daily(), stray]) == ("warn", (f"x: wrong time, {why}",))
    assert judge(observed([*daily(), stray])).inventory.newest.time == NOW - 10 * HOUR  # type: ignore[union-attr]


def test_newest_that_shrank_warns() -> None:
    """Against the median of the last fourteen good ones: what was before them may have been larger."""
    history = [backup((34 + 24 * number) * HOUR, 1000.0 if number < 12 else 9000.0) for number in range(40)]

    assert verdict([backup(size=499.0, name="x"), *history]) == (
        "warn",
        ("x: shrunk, 499 bytes where 1000 are usual",),
    )
    assert verdict([backup(size=501.0), *history]) == ("pass", ())
    assert verdict([backup(size=501.0, name="x"), *history], policy=policy(size={"shrink": 0.6}))[0] == "warn"
    assert verdict([backup(size=1.0)]) == ("pass", ())


def test_missing_periods_warn() -> None:
    """In the zone of the place."""
    times = [*daily(4), *[backup(10 * HOUR + number * DAY) for number in range(6, 9)]]

    assert verdict(times, policy=policy(keep={"daily": 30})) == (
        "warn",
        ("no backup of 2026-11-27", "no backup of 2026-11-26"),
    )


def test_copy_warns_of_what_it_lacks() -> None:
    def copy(*facts: Any, **findings: Any) -> Verdict:
        return verdict(daily(), copy=Copy(*facts, **findings))

    assert copy(0, 0.0) == copy(0, 26 * HOUR) == copy(0, None) == ("pass", ())
    assert copy(0, 28 * HOUR) == ("warn", ("the copy is 1 d 4 h behind its original",))
    assert copy(1, 0.0, findings=("missing: a",)) == ("warn", ("missing: a",))
    assert copy(0, 0.0, 1, ("differs: a",)) == ("warn", ("differs: a",))
    assert copy(None, None) == ("unknown", ("not compared with its original",))


def test_duration_over_its_limit_warns() -> None:
    wanted = policy(every="7d", duration="15m")

    assert verdict([backup(seconds=901.0, name="x")], policy=wanted) == ("warn", ("x: took 901 s, 900 s allowed",))
    assert verdict([backup(seconds=900.0)], policy=wanted) == verdict([backup()], policy=wanted) == ("pass", ())


def report(*backups: Backup, **keys: Any) -> Verdict:
    return verdict(backups, "report", policy=policy(every="7d", **keys))


def test_job_that_failed_fails_with_its_message() -> None:
    """Although its last success is young enough."""
    failed = bad(HOUR, "failed", "pg_restore: out of memory", name="restore.json")

    assert report(failed, backup(DAY)) == ("fail", ("restore.json: failed, pg_restore: out of memory",))
    assert report(failed) == ("fail", ("restore.json: failed, pg_restore: out of memory", "the job has not succeeded"))


def test_report_is_judged_by_its_age_and_duration_alone() -> None:
    """Reports have sizes, which mean nothing; old ones that failed have had their successors."""
    assert report(backup(size=1.0), *[backup(DAY * number, 1000.0) for number in range(1, 6)]) == ("pass", ())
    assert report(backup(), bad(DAY, "failed")) == ("pass", ())
    assert report(backup(8 * DAY)) == ("warn", ("last success 8 d ago, expected every 7 d",))
    assert report(backup(15 * DAY))[0] == "fail"
    assert report(backup(seconds=1000.0, name="x"), duration="15m") == ("warn", ("x: took 16 min, 15 min allowed",))


def test_garbage_report_warns_while_an_older_one_is_young() -> None:
    garbage = bad(HOUR, "format", "no JSON object", name="x.json")

    assert report(garbage, backup(DAY)) == ("warn", ("x.json: wrong format, no JSON object",))
    assert report(garbage)[0] == "fail"


def wal(minutes: float | None = 1.0, gaps: int = 0, missing: tuple[str, ...] = (), **changes: Any) -> Verdict:
    until = None if minutes is None else NOW - 60 * minutes
    archive = WalArchive(**{"segments": 9, "bytes": 1.0, "recoverable_from": NOW - 8 * DAY, **changes},
                         gaps=gaps, missing=missing, recoverable_until=until)  # fmt: skip
    keys = {"every": "5m", "keep": "7d", "since": "2026-01-01"}
    return verdict([], "wal", wal=archive, policy=policy(**keys))


def test_recovery_point_is_judged_by_its_age() -> None:
    assert wal(6.0) == ("pass", ())
    assert wal(6.1) == (
        "warn", ("recoverable until 6 min ago, expected every 5 min, unless nothing was written since",)
    )  # fmt: skip
    assert wal(600.0)[0] == "warn"


def test_archive_that_nothing_can_be_recovered_from_fails() -> None:
    assert wal(None, recoverable_from=None)[1][0] == "nothing can be recovered: no base backup goes with it"
    assert wal(None, recoverable_from=None, segments=0)[1][0] == "nothing can be recovered: no segment is there"


def test_gaps_fail_with_the_names_of_what_is_missing() -> None:
    name = "0000000100000000000000A7"

    assert wal(gaps=1, missing=(name,)) == ("fail", (f"segment {name} is missing",))
    assert wal(gaps=3, missing=(name,)) == ("fail", (f"segment {name} is missing", "and 2 more segments are missing"))


def test_recovery_must_reach_back() -> None:
    """Not before the day of `since`."""
    assert wal(recoverable_from=NOW - 7 * DAY + 300) == ("pass", ())
    assert wal(recoverable_from=NOW - 2 * DAY) == ("warn", ("the oldest is 2 d old, expected 7 d at least",))


def test_set_that_was_not_looked_at_is_unknown() -> None:
    """Silence is neither health nor a missing backup."""
    assert verdict(observed_at=None) == ("unknown", ("not looked at yet",))


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [
        ("connect", "no such folder; is it mounted?", "no such folder; is it mounted?"),
        ("privilege", "read: permission denied", "read: permission denied"),
        ("timeout", "timeout", "its place answers too late"),
    ],
)
def test_set_that_cannot_be_read_warns_with_the_reason(reason: Reason, message: str, words: str) -> None:
    error = QueryError(reason, message)

    assert verdict(observed_at=None, error=error) == ("warn", (f"cannot be read: {words}",))
    assert verdict(observed_at=NOW - 3 * HOUR, error=error, known=False) == (
        "warn",
        (f"cannot be read: {words}; last read 3 h ago",),
    )


def test_driver_s_own_words_are_not_shown() -> None:
    """They may hold addresses."""
    error = QueryError("connect", "10.1.2.3 refused")
    error.__cause__ = OSError()

    assert verdict(observed_at=None, error=error) == ("warn", ("cannot be read: its place does not answer",))


def test_what_is_known_of_an_unreadable_set_is_judged_as_of_then() -> None:
    """That the place is down for days makes no backup too old: nobody knows; what was wrong still is."""
    error = QueryError("connect", "no such folder")
    unread = "cannot be read: no such folder; last read 4 d ago"
    then = {"observed_at": NOW - 4 * DAY, "error": error}

    assert verdict([backup(4 * DAY + HOUR)], **then) == ("warn", (unread,))
    assert verdict([], **then) == ("fail", ("no good backup", unread))
    assert verdict([backup(4 * DAY + HOUR)], policy=policy(keep={"daily": 3}), **then) == ("warn", (unread,))


def test_age_is_that_at_the_look() -> None:
    """A look that takes its time, or comes to no end, must not make an archive of five minutes too old."""
    assert verdict([backup(26 * HOUR + 1790)], observed_at=NOW - 1790) == ("pass", ())


def test_looks_that_come_to_no_end_warn() -> None:
    """Half an hour is longer than any pace, and some looks."""
    assert verdict([backup(25 * HOUR)], observed_at=NOW - 1799) == ("pass", ())
    found, [words] = verdict([backup(25 * HOUR)], observed_at=NOW - 3 * HOUR)
    assert (found, words[:30], words[-19:]) == ("warn", "cannot be read to its end: too", "; last read 3 h ago")


def test_all_findings_are_there_the_worst_first() -> None:
    backups = [bad(HOUR, name="cut"), backup(60 * HOUR, 10.0, "last", seconds=99.0), backup(130 * HOUR)]
    wanted = policy(duration="1m", keep={"daily": 3})
    found, findings = verdict(backups, policy=wanted, copy=Copy(1, None, findings=("missing: a",)))

    assert found == "fail"
    assert findings == (
        "cut: truncated, at 5 of 9 bytes",
        "last: the newest good one is 2 d 12 h old, expected every 1 d",
        "missing: a",
        "last: took 99 s, 60 s allowed",
        "last: shrunk, 10 bytes where 505 are usual",
        "no backup of 2026-11-30",
        "no backup of 2026-11-28",
    )


def test_names_are_visible_and_short() -> None:
    [words] = verdict([bad(HOUR, name="a\n" + "x" * 4096), *daily()])[1]

    assert words.startswith("a\\nxxx")
    assert len(words) < 250
