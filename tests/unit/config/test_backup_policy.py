"""What a user writes of a policy is read strictly, and what is not written has a sensible value."""

from datetime import date
from pathlib import Path

import pytest

from exporter.config.backup_policy import BackupPolicy, BackupSet, Keep
from tests.support.backup_mistakes import problems, replaced

HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("every", "grace", "warn", "fail"),
    [
        ("5m", None, 360.0, 660.0),
        ("1h", None, 3 * HOUR, 4 * HOUR),
        ("1d", None, DAY + 2.4 * HOUR, 2 * DAY + 2.4 * HOUR),
        ("7d", None, 7.7 * DAY, 14.7 * DAY),
        ("1d", "30m", DAY + 0.5 * HOUR, 2 * DAY + 0.5 * HOUR),
    ],
)
def test_warn_and_fail_seconds_are_interval_and_grace(every: str, grace: str | None, warn: float, fail: float) -> None:
    policy = BackupPolicy.model_validate({"every": every, "grace": grace})

    assert (policy.warn_seconds, policy.fail_seconds) == pytest.approx((warn, fail))


@pytest.mark.parametrize(
    ("written", "reach", "tiers"),
    [
        ("30d", 30 * DAY, {}),
        ("1d12h", 1.5 * DAY, {}),
        ({"daily": 30}, None, {"daily": 30}),
        ({"yearly": 7, "monthly": "12"}, None, {"monthly": 12, "yearly": 7}),
    ],
)
def test_keep_is_a_duration_or_tiers(written: object, reach: float | None, tiers: dict[str, int]) -> None:
    keep = Keep.model_validate(written)

    assert (keep.reach, keep.tiers) == (reach, tiers)


def test_keep_of_another_duration_is_another() -> None:
    """A reload compares what is dumped."""
    weeks = [Keep.model_validate(text).model_dump() for text in ("7d", "14d")]

    assert weeks[0] != weeks[1]


@pytest.mark.parametrize("written", ["2026-01-31", date(2026, 1, 31)])
def test_since_is_a_day(written: object) -> None:
    """YAML makes a date of it, a variable of the environment a text."""
    policy = BackupPolicy.model_validate({"every": "1d", "since": written})

    assert policy.since == date(2026, 1, 31)


def test_backup_set_with_the_least_has_the_rest() -> None:
    made = BackupSet.model_validate({"name": "a", "of": "b", "files": "*", "every": "1d"})

    assert (made.format, made.encrypted, made.keep, made.size.shrink, made.since) == ("auto", False, None, 0.5, None)


DURATION = "is not a duration such as 500ms, 15s, 5m or 1h30m"
KEEP = "expected a duration such as 30d, or numbers as in {daily: 7, weekly: 4}"
FORMATS = (
    "'auto', 'pg_dump', 'sql', 'basebackup', 'pgbackrest', 'wal-g', 'barman', 'wal', 'neo4j', 'qdrant' or 'report'"
)
NAME = "must start with a letter or digit, then letters, digits, '_', '.' or '-'"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{daily: 30}", "30", f"keep: '30' {DURATION}"),
        ("{daily: 30}", "a while", f"keep: 'a while' {DURATION}"),
        ("{daily: 30}", "0d", "keep: a duration must be longer than nothing, and shorter than a century"),
        ("{daily: 30}", "{}", f"keep: {KEEP}"),
        ("{daily: 30}", "[30d]", f"keep: {KEEP}"),
        ("{daily: 30}", "{a duration: 3}", f"keep: {KEEP}"),
        ("{daily: 30}", "{reach: 30d}", "keep.reach: unknown key"),
        ("{daily: 30}", "{hourly: 3}", "keep.hourly: unknown key"),
        ("{daily: 30}", "{daily: 0}", "keep.daily: expected greater than or equal to 1"),
        ("{daily: 30}", "{daily: on}", "keep.daily: expected a number"),
        ("{daily: 30}", "{daily: 30d}",
         "keep.daily: expected a valid integer, unable to parse string as an integer"),
        ("{daily: 30}", "{yearly: 101}", "keep.yearly: expected 100 at most: a century"),
        ("{daily: 30}", "{daily: 9999999999}", "keep.daily: expected 36525 at most: a century"),
        ("{min: 1MiB}", "{min: 2GiB, max: 1GiB}", "size: min 2147483648 must not be above max 1073741824"),
        ("{min: 1MiB}", "{min: -1}", "size.min: '-1' is not a size such as 500GiB or 2TB"),
        ("{min: 1MiB}", "{shrink: 1.5}", "size.shrink: expected less than 1"),
        ("{min: 1MiB}", "{shrink: 1}", "size.shrink: expected less than 1"),
        ("{min: 1MiB}", "{shrink: 0}", "size.shrink: expected greater than 0"),
        ("{min: 1MiB}", "{shrink: .nan}", "size.shrink: expected greater than 0"),
        ("{min: 1MiB}", "{shrink: no}", "size.shrink: expected a number"),
        ("{min: 1MiB}", "{least: 1MiB}", "size.least: unknown key"),
        ("{min: 1MiB}", "1MiB", "size: expected keys and values"),
        ("size: {min: 1MiB}", "since: tomorrow", "since: 'tomorrow' is not a day such as 2026-01-31"),
        ("size: {min: 1MiB}", "since: 20260131", "since: '20260131' is not a day such as 2026-01-31"),
        ("size: {min: 1MiB}", "since: 2026-01-31 02:00:00",
         "since: '2026-01-31 02:00:00' is not a day such as 2026-01-31"),
        ("size: {min: 1MiB}", "grace: 2", f"grace: '2' {DURATION}"),
        ("size: {min: 1MiB}", "encrypted: maybe", "encrypted: expected a valid boolean, unable to interpret input"),
        ("size: {min: 1MiB}", "compressed: true", "compressed: unknown key"),
        ("size: {min: 1MiB}", "marker: ../mounted",
         "marker: it lies below the place: write it without '.', '..' and two slashes in a row"),
        ("size: {min: 1MiB}", "marker: /mounted",
         "marker: it lies below the place: write it without the leading slash"),
        ("size: {min: 1MiB}", "marker: mounted/", "marker: it is a file: no slash at its end"),
        ("pg_dump, every: 1d", "pg_dump, every: daily", f"every: 'daily' {DURATION}"),
        ("pg_dump, every: 1d", "pg_dump", "every: required, but not there"),
        ("of: orders, files", "files", "of: required, but not there"),
        ('files: "*.dump", format', "format", "files: required, but not there"),
        ('files: "*.dump"', 'files: "/backups/*.dump"',
         "files: it lies below the place: write it without the leading slash"),
        ('files: "*.dump"', 'files: "../*.dump"',
         "files: it lies below the place: write it without '.', '..' and two slashes in a row"),
        ('files: "*.dump"', 'files: "[ab.dump"',
         "files: a bracket is opened and not closed before the next slash; write [[] for a '[' in a name"),
        ("format: pg_dump", "format: tar", f"format: expected {FORMATS}"),
        ("name: dumps", "name: my dumps", f"name: 'my dumps' {NAME}"),
        ("name: dumps", 'name: "d/umps\\n"', f"name: 'd/umps\\n' {NAME}"),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_refused_with_line_and_key(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """The key is the one that was written, and the message says what would be right."""
    assert problems(tmp_path, replaced((old, new))) == [f"12: dumps.{problem}"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{daily: 7}", "{reach: 7d}", "keep.reach: unknown key"),
        ("every: 1d", "every: 2d",
         "keep.daily: a backup every 2 d leaves some of them without one; every: 1 d or less"),
        ("every: 1d, ", "", "every: required, but not there"),
        ("every: 1d", "every: 1d, duration: 3m", "duration: Qdrant does not tell how long a snapshot took"),
        ("every: 1d", "every: 1d, collections: []",
         'collections: expected at least one glob; of all collections, leave the key out or write ["*"]'),
        ("every: 1d", 'every: 1d, collections: [""]', "collections.0: expected a text that is not empty"),
        ("every: 1d", "every: 1d, collections: docs", "collections: expected a list"),
        ("every: 1d", "every: 1d, files: docs", "files: unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_policy_of_snapshots_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    line = 'url: "http://h:6333", snapshots: {every: 1d, keep: {daily: 7}}'

    assert problems(tmp_path, replaced((line, line.replace(old, new)))) == [f"7: search.snapshots.{problem}"]
