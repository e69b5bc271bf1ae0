"""A good backup in each of the last days, weeks, months and years: counted, and the missing ones named."""

import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from exporter.datastores.backup_sets.retention import History, Kept, kept
from tests.support.observed_sets import policy

BERLIN = ZoneInfo("Europe/Berlin")


def moment(text: str, zone: tzinfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def each_day(
    first: str, last: str, at: str = "02:00", zone: tzinfo = BERLIN, without: Iterable[str] = ()
) -> list[float]:
    """Return a moment of each day, but some."""
    day, end, left_out = date.fromisoformat(first), date.fromisoformat(last), set(without)
    days = [day + timedelta(days=number) for number in range((end - day).days + 1)]
    return [moment(f"{one}T{at}", zone) for one in days if one.isoformat() not in left_out]


def judged(times: Iterable[float], now: str, zone: ZoneInfo = BERLIN, **keys: Any) -> list[Kept]:
    return kept(History(sorted(times), policy(**keys), moment(now, zone), zone))


def test_what_is_not_to_be_kept_is_not_judged() -> None:
    assert judged(each_day("2026-11-01", "2026-12-01"), "2026-12-01T12:00") == []


def test_missing_days_are_named_the_newest_first() -> None:
    times = each_day("2026-10-01", "2026-12-01", without=["2026-11-03", "2026-11-20"])

    assert judged(times, "2026-12-01T12:00", keep={"daily": 30}) == [
        Kept("daily", 30, 28, ("no backup of 2026-11-20", "no backup of 2026-11-03"))
    ]


def test_many_missing_days_are_counted() -> None:
    times = each_day("2026-10-01", "2026-12-01", without=[f"2026-11-{day:02}" for day in range(3, 20)])
    [days] = judged(times, "2026-12-01T12:00", keep={"daily": 30})

    assert (days.expected, days.retained, len(days.missing)) == (30, 13, 6)
    assert days.missing[-2:] == ("no backup of 2026-11-15", "and of 12 more days")


@pytest.mark.parametrize("at", ["00:02", "02:00", "12:00", "23:58"])
@pytest.mark.parametrize("every", ["1d", "7d"])
def test_a_missing_week_is_named(at: str, every: str) -> None:
    """Also where the job runs in the first minutes of a week, so that the next one's came within the grace."""
    days = range(5, 12) if every == "1d" else [5]
    times = each_day("2026-06-01", "2026-12-01", at, without=[f"2026-10-{day:02}" for day in days])
    if every == "7d":
        times = [time for time in times if datetime.fromtimestamp(time, BERLIN).weekday() == 0]

    assert judged(times, "2026-12-01T12:00", every=every, keep={"weekly": 12}) == [
        Kept("weekly", 12, 11, ("no backup of week 2026-W41",))
    ]


def test_weeks_of_two_years_have_their_iso_names() -> None:
    """The week of 1 January 2027 is the 53rd of 2026; the days after it belong to the first one of 2027."""
    times = each_day("2026-11-02", "2027-02-01", without=[f"2026-12-{day}" for day in range(28, 32)])
    times = [time for time in times if not moment("2027-01-01T00:00") <= time < moment("2027-01-11T00:00")]

    [weeks] = judged(times, "2027-02-01T12:00", keep={"weekly": 10})
    assert weeks.missing == ("no backup of week 2027-W01", "no backup of week 2026-W53")


def test_months_and_years_are_named() -> None:
    """A job on the first of each month, before dawn, does not hide one that it left out."""
    firsts = [date(year, month, 1) for year in range(2020, 2027) for month in range(1, 13)]
    missed = {date(2026, 2, 1), *(date(2024, month, 1) for month in range(1, 13))}
    times = [moment(f"{first}T00:30") for first in firsts if first not in missed and first < date(2026, 12, 1)]

    months, years = judged(times, "2026-11-30T12:00", every="31d", keep={"monthly": 12, "yearly": 7})
    assert months == Kept("monthly", 12, 11, ("no backup of month 2026-02",))
    assert years == Kept("yearly", 7, 6, ("no backup of 2024",))


def test_a_job_that_runs_about_midnight_makes_no_gaps() -> None:
    """One a day, but two in one day and none in the next."""
    about = random.Random(4)
    midnights = each_day("2026-03-01", "2026-12-01", "00:00")
    times = [time + about.uniform(-3600, 3600) for time in midnights]
    on_days = {datetime.fromtimestamp(time, BERLIN).date() for time in times}

    assert len(on_days) < len(times) - 10
    assert judged(times, "2026-12-01T12:00", keep={"daily": 200, "weekly": 30, "monthly": 6}) == [
        Kept("daily", 200, 200), Kept("weekly", 30, 30), Kept("monthly", 6, 6)
    ]  # fmt: skip


def test_today_counts_from_its_backup_on_and_is_missing_after_the_grace() -> None:
    """Tools keep the last so many days, this one among them; the grace is a tenth, here 2 h 24 min."""
    times = each_day("2026-11-02", "2026-12-01", "22:00")  # thirty
    before = each_day("2026-11-01", "2026-11-30", "22:00")

    assert judged(times, "2026-12-01T23:00", since="2026-01-01", keep={"daily": 30}) == [Kept("daily", 30, 30)]
    assert judged(before, "2026-12-01T21:00", since="2026-01-01", keep={"daily": 30}) == [Kept("daily", 30, 30)]
    assert judged(before, "2026-12-02T02:23", since="2026-01-01", keep={"daily": 30}) == [Kept("daily", 30, 30)]
    assert judged(before, "2026-12-02T02:25", since="2026-01-01", keep={"daily": 30}) == [
        Kept("daily", 30, 29, ("no backup of 2026-12-01",))
    ]


def test_nothing_is_expected_before_the_oldest_backup() -> None:
    """So a history that was deleted does not show, but with `since`."""
    times = each_day("2026-11-20", "2026-12-01")

    keep = {"daily": 30, "weekly": 4, "monthly": 12, "yearly": 7}
    assert [(one.expected, one.missing) for one in judged(times, "2026-12-01T12:00", keep=keep)] == [
        (12, ()), (3, ()), (2, ()), (1, ()),
    ]  # fmt: skip
    assert judged([], "2026-12-01T12:00", keep={"daily": 30}) == [Kept("daily", 0, 0)]
    [days] = judged(times, "2026-12-01T12:00", since="2026-11-10", keep={"daily": 30})
    assert (days.expected, days.retained) == (22, 12)
    [days] = judged([], "2026-12-01T12:00", since="2026-11-29", keep={"daily": 30})
    assert days.missing == ("no backup of 2026-11-30", "no backup of 2026-11-29")


def test_of_what_began_before_since_nothing_is_missing() -> None:
    """The week counts if it has a backup; neither it nor the time before must have one."""
    late = each_day("2026-11-13", "2026-12-01")  # a Friday; since the Wednesday

    assert judged(late, "2026-12-01T12:00", since="2026-11-11", keep={"weekly": 12}) == [Kept("weekly", 4, 4)]
    assert judged(late[3:], "2026-12-01T12:00", since="2026-11-11", keep={"weekly": 12}) == [Kept("weekly", 3, 3)]
    assert judged(late, "2026-12-01T12:00", since="9999-12-31", keep={"daily": 12, "yearly": 2}) == [
        Kept("daily", 0, 0), Kept("yearly", 0, 0)
    ]  # fmt: skip


@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/Havana", "Asia/Beirut", "Africa/Cairo", "UTC"])
def test_days_without_a_midnight_and_days_that_were_not(zone: str) -> None:
    """Clocks are set at midnight in some zones; Samoa had no 30 December 2011."""
    place = ZoneInfo(zone)
    for year in (2011, 2024):
        first, last = f"{year}-01-01", f"{year + 1}-01-31"
        times = [time for time in each_day(first, last, "03:30", place) if time < moment(f"{last}T12:00", place)]

        assert judged(times, f"{last}T12:00", place, keep={"daily": 390}) == [Kept("daily", 390, 390)]


@pytest.mark.parametrize(
    ("oldest", "since", "missing"),
    [
        ("2026-10-01", None, ""),
        ("2026-11-20", None, ""),
        ("2026-11-02", "2026-01-01", ""),
        ("2026-11-05", "2026-01-01", "the oldest is 26 d 10 h old, expected 30 d at least"),
        ("2026-11-22", "2026-11-20", ""),
        ("2026-11-24", "2026-11-20", "the oldest is 7 d 10 h old, expected 10 d 12 h at least"),
        ("", "2026-01-01", "none is there, expected one 30 d old"),
        ("", "2027-01-01", ""),
    ],
)
def test_a_duration_reaches_back_to_since_at_most(oldest: str, since: str | None, missing: str) -> None:
    """It may fall short by what lies between two backups, and the grace."""
    times = each_day(oldest, "2026-12-01") if oldest else []

    [reach] = judged(times, "2026-12-01T12:00", keep="30d", since=since)
    assert (reach.tier, reach.missing) == ("reach", (missing,) if missing else ())
    assert reach.expected - reach.retained == bool(missing)
