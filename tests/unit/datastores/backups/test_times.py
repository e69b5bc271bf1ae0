"""When a backup was made."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.datastores.backups.places.place import Entry
from exporter.datastores.backups.times import made, stamp_in
from tests.support.fuzz import examples

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()


def utc(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("apex_full_202611300214.dump", "2026-11-30T01:14"),
        ("apex_full_20261130-0214.dump", "2026-11-30T01:14"),
        ("apex_full_20261130_021407.sql.gz", "2026-11-30T01:14:07"),
        ("20261130T021407Z", "2026-11-30T02:14:07"),
        ("apex-2026-11-30T02:14:07Z.dump", "2026-11-30T02:14:07"),
        ("apex-2026-11-30T02:14:07+05:30.dump", "2026-11-29T20:44:07"),
        ("apex-20261130T021407-0800.dump", "2026-11-30T10:14:07"),
        ("apex-20261130-0214-0800.dump", "2026-11-30T01:14"),
        ("docs-123-2026-11-30-02-14-07.snapshot", "2026-11-30T01:14:07"),
        ("2026_07_01_0214.dump", "2026-07-01T00:14"),
        ("x 2026.11.30 02.14 UTC", "2026-11-30T01:14"),
        ("x-20261130-0214UTC", "2026-11-30T02:14"),
        ("2026-11-29/db-20261130-0214.dump", "2026-11-30T01:14"),
        ("2026-11-29T0100/20261130T0214/toc", "2026-11-30T01:14"),
        ("20261130-0214-to-20261201-0214", "2026-11-30T01:14"),
    ],
)
def test_stamp_in_name_has_time_of_day(name: str, expected: str) -> None:
    """In the place's zone, where none is written."""
    found = stamp_in(name, BERLIN)

    assert found is not None
    assert (datetime.fromtimestamp(found.time, UTC).isoformat(), found.whole_day) == (
        datetime.fromisoformat(expected + "+00:00").isoformat(),
        False,
    )


@pytest.mark.parametrize(
    "name",
    ["x_20261130.dump", "2026-11-30-v2", "20261130_15.dump", "2026/11/30/x", "20261130_2561.dump", "20261130_1234567"],
)
def test_stamp_in_name_with_a_date_only_is_a_whole_day(name: str) -> None:
    found = stamp_in(name, BERLIN)

    assert found is not None
    assert (found.time, found.whole_day) == (utc("2026-11-29T23:00"), True)


@pytest.mark.parametrize(
    "name", ["x.dump", "20261330.dump", "2026-1130", "00000001000000A700000042", "1764500000", "99991231", "20260230"]
)
def test_stamp_in_name_without_a_date_is_none(name: str) -> None:
    assert stamp_in(name, BERLIN) is None


@given(st.text(alphabet="0123456789-_T:.Z+/ ٣\n", max_size=300))
@examples(300)
def test_stamp_in_any_name_raises_nothing(name: str) -> None:
    found = stamp_in(name, None)

    assert found is None or found.time > 0


def made_of(name: str, modified: float, header: float | None = None, zone: ZoneInfo | None = BERLIN) -> float:
    result = made(Entry(name, 1, modified), NOW, zone, header)
    assert result.problem is None
    return result.time


def test_made_prefers_the_name_then_the_header_then_the_modification() -> None:
    """A copy is newer than what it is a copy of."""
    assert made_of("x_20261130-0214", NOW, header=5.0) == utc("2026-11-30T01:14")
    assert made_of("x", NOW, header=NOW - 5 * HOUR) == NOW - 5 * HOUR
    assert made_of("x", NOW - HOUR) == NOW - HOUR


def test_made_with_a_date_only_is_the_modification_about_that_day() -> None:
    """Else the begin of the day: it was copied later."""
    night = utc("2026-11-30T01:14")

    assert made_of("x_20261130", night) == night
    assert made_of("x_20261128", NOW) == utc("2026-11-27T23:00")


def test_made_in_another_zone_is_the_modification() -> None:
    """However long ago: the answer does not change when what is named is no longer in the future."""
    modified = NOW - 100 * HOUR

    assert made_of("x", modified, header=modified + 9 * HOUR) == modified
    assert made_of("x_20261130-1500", NOW - 6 * HOUR, zone=ZoneInfo("UTC")) == NOW - 6 * HOUR


@pytest.mark.parametrize(
    ("name", "modified", "expected"),
    [
        ("x", NOW + 2 * HOUR, NOW),
        ("x_20261203-0214", NOW - HOUR, NOW - HOUR),
        ("x_20361130-0214", NOW + 9 * HOUR, NOW),
    ],
)
def test_made_in_the_future_is_a_clock(name: str, modified: float, expected: float) -> None:
    """It gets no time in the future: it would be the newest one for ever."""
    result = made(Entry(name, 1, modified), NOW, BERLIN)

    assert result.problem is not None
    assert (result.time, result.problem.reason) == (expected, "clock")


def test_made_a_little_ahead_is_believed() -> None:
    """Clocks differ by minutes."""
    assert made_of("x", NOW + 0.5 * HOUR) == NOW + 0.5 * HOUR
