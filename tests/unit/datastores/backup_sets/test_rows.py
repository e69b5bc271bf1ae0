"""The rows that feed metrics and checks: with the built-in query files, as a place of backups serves them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from exporter.datastores.backup_sets import rows
from exporter.datastores.backup_sets.backup import Copy, WalArchive
from exporter.datastores.backup_sets.observed import ObservedSet
from exporter.datastores.backups.operations import OPERATIONS
from exporter.errors import QueryError
from exporter.queries.loader import builtin_folder
from exporter.queries.query import Query
from exporter.queries.query_file import QueryContext, load_query
from tests.support.observed_sets import DAY, HOUR, NOW, backup, bad, daily, observed, policy

CONTEXT = QueryContext(lambda _: OPERATIONS, {})
OF = {"check": "apex-daily", "of": "orders"}
FACTS = ("backups", "bytes", "newest", "newest_bytes", "newest_seconds", "median_bytes", "shrink", "oldest")


def asked(name: str) -> Query:
    return load_query(builtin_folder() / "backups" / f"{name}.yaml", "backups", CONTEXT)


def served(name: str, sets: Sequence[ObservedSet]) -> dict[str, dict[tuple[str, ...], object]]:
    """Return the samples of a built-in query, by metric and by the values of their labels."""
    make = {"sets": rows.set_rows, "formats": rows.format_rows, "rejected": rows.rejected_rows,
            "retention": rows.retention_rows, "wal": rows.wal_rows, "copies": rows.copy_rows}[name]  # fmt: skip
    return {
        family.metric.name.removeprefix("datatier_backup_"): {
            tuple(value for _, value in labels): value
            for labels, value in zip(family.labels, family.values, strict=True)
            if value is not None
        }
        for family in asked(name).samples(make(sets))
    }


def set_row(one: ObservedSet) -> dict[str, Any]:
    [row] = rows.set_rows([one])
    return dict(row)


def test_set_has_its_numbers() -> None:
    backups = [*daily(20), bad(HOUR, size=5.0), backup(0, 7.0, being_written=True), backup(9 * HOUR, 900.0, seconds=12)]

    assert set_row(observed(backups, policy=policy(duration="1h"))) == {
        **OF, "expected": 1.0, "interval": 26.4 * HOUR, "duration_limit": HOUR, "readable": 1.0, "observed_at": NOW,
        "backups": 21.0, "bytes": 20912.0, "newest": NOW - 9 * HOUR, "newest_bytes": 900.0, "newest_seconds": 12,
        "median_bytes": 1000.0, "shrink": 0.5, "oldest": NOW - 19 * DAY - 10 * HOUR, "status": "warn",
        "findings": ("dump_1h: truncated, at 5 of 9 bytes",),
    }  # fmt: skip


def test_before_the_first_look_nothing_is_said_of_what_lies_there() -> None:
    """Nor whether it can be read; what is expected is known."""
    row = set_row(observed(observed_at=None))

    assert {key: value for key, value in row.items() if value is not None} == {
        **OF, "expected": 1.0, "interval": 26.4 * HOUR, "status": "unknown", "findings": ("not looked at yet",)
    }  # fmt: skip
    for name in ("rejected", "retention", "wal", "copies"):
        assert not any(served(name, [observed(observed_at=None)]).values())


def test_dropped_facts_are_no_numbers() -> None:
    """A listing that was cut is not a place without backups."""
    row = set_row(observed(observed_at=NOW - DAY, error=QueryError("limit", "too many"), known=False))

    assert (row["readable"], row["observed_at"], row["status"]) == (0.0, NOW - DAY, "warn")
    assert {row[name] for name in FACTS} == {None}


def test_facts_of_a_place_that_is_down_stay() -> None:
    row = set_row(observed(daily(), error=QueryError("connect", "gone")))

    assert (row["readable"], row["backups"], row["newest"]) == (0.0, 3.0, NOW - 10 * HOUR)


def test_empty_place_has_no_backups() -> None:
    row = set_row(observed())

    assert (row["backups"], row["bytes"], row["newest"], row["median_bytes"]) == (0.0, 0.0, None, None)


def test_report_has_no_size() -> None:
    row = set_row(observed([backup(HOUR, seconds=5.0), bad(0, "failed")], "report"))

    assert {name: row[name] for name in FACTS if row[name] is not None} == {
        "backups": 1.0, "newest": NOW - HOUR, "newest_seconds": 5.0
    }  # fmt: skip


def test_archive_is_as_new_as_what_it_recovers() -> None:
    archive = WalArchive(7, 70.0, 2, ("a", "b"), NOW - DAY, NOW - 60)
    one = observed([], "wal", wal=archive)
    row = set_row(one)

    assert {name: row[name] for name in FACTS if row[name] is not None} == {"bytes": 70.0, "newest": NOW - 60}
    assert served("wal", [one, observed(daily())]) == {
        "wal_segments": {tuple(OF.values()): 7.0}, "wal_gaps": {tuple(OF.values()): 2.0},
        "recoverable_from_timestamp_seconds": {tuple(OF.values()): NOW - DAY},
        "recoverable_until_timestamp_seconds": {tuple(OF.values()): NOW - 60},
    }  # fmt: skip
    assert served("rejected", [one]) == {"rejected": {}, "newest_rejected": {}}


def test_every_reason_of_a_rejection_has_its_number() -> None:
    """Zeros among them, so that an increase from none shows."""
    wanted = policy(size={"min": "10B"})
    found = served("rejected", [observed([*daily(), bad(HOUR), bad(90 * HOUR), backup(2 * HOUR, 9.0)], policy=wanted)])

    numbers = {labels[-1]: value for labels, value in found["rejected"].items()}
    assert {reason: number for reason, number in numbers.items() if number} == {"truncated": 2.0, "too_small": 1.0}
    assert len(numbers) == 11
    last = {labels[-1] for labels, value in found["newest_rejected"].items() if value}
    assert (last, len(found["newest_rejected"])) == ({"truncated"}, 11)


def test_each_tier_has_its_numbers() -> None:
    backups = [one for one in daily(5) if one.name != "dump_34h"]
    tiers = served("retention", [observed(backups, policy=policy(keep={"daily": 3, "monthly": 12}))])
    reach = served("retention", [observed(daily(5), policy=policy(keep="3d"))])

    assert {labels[-1]: value for labels, value in tiers["retained"].items()} == {"daily": 2.0, "monthly": 2.0}
    assert {labels[-1]: value for labels, value in tiers["retention_expected"].items()} == {
        "daily": 3.0,
        "monthly": 2.0,
    }
    assert {labels[-1]: value for labels, value in reach["retained"].items()} == {"reach": 1.0}


def test_copy_has_its_numbers_unless_it_was_not_compared() -> None:
    compared, failed = (observed(daily(), copy=copy) for copy in (Copy(2, 60.0, 1), Copy(None, None)))

    assert {name: list(values.values()) for name, values in served("copies", [compared]).items()} == {
        "copy_behind_seconds": [60.0], "copy_missing": [2.0], "copy_differing": [1.0]
    }  # fmt: skip
    assert not any(served("copies", [failed]).values())


def test_format_is_known_before_anything_else() -> None:
    assert served("formats", [observed(kind="sql", observed_at=None)]) == {"info": {(*OF.values(), "sql"): 1.0}}


@pytest.mark.parametrize("name", ["sets", "formats", "rejected", "retention", "wal", "copies"])
def test_hundred_sets_fit_into_a_query(name: str) -> None:
    """As many as may have a check each."""
    wanted = policy(duration="1h", keep={"daily": 1, "weekly": 1, "monthly": 1, "yearly": 1})
    archive, copy = WalArchive(7, 70.0, 0, (), NOW - DAY, NOW), Copy(0, 0.0)
    sets = [replace(observed(daily(), policy=wanted, wal=archive, copy=copy), check=f"set{n}") for n in range(100)]

    assert served(name, sets)
